#pragma once

#include <stdio.h>

/* One call of the container runtime, from its environment and stdin to the JSON on stdout.
 *
 * ADD asks the service, waits for its answer, and runs the delegate with it; with "verify" it then waits for the P_Key table,
 * and undoes the delegate's ADD when the key does not come.  DEL, CHECK and GC run the delegate and need neither service nor
 * node file; a DEL whose definition names no delegate that could ever have been added succeeds, so that its pod can go.
 * STATUS tells whether an ADD would find service and delegate.  A delegate's stdout and exit status are passed through
 * unchanged. */

/* `variables`: the environment; the delegate gets the process's own.  The exit status. */
int plugin_run(char *const *variables, int in, FILE *out);
