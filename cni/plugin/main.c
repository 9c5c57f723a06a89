#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cni/plugin/environment.h"
#include "cni/plugin/netconf.h"
#include "cni/plugin/node_file.h"
#include "cni/plugin/plugin.h"

static void print_help(void)
{
	printf("ufmsync-cni " UFMSYNC_VERSION ": CNI plugin of network type \"ufmsync\"\n\n"
	       "Waits until the InfiniBand fabric lets a pod's interface into its partition, then runs the plugin "
	       "that\n"
	       "attaches it (ib-sriov).  Container runtimes and Multus start it: CNI_COMMAND and the other variables "
	       "of the\n"
	       "CNI specification in the environment, the network configuration on stdin, the result on stdout.\n\n"
	       "	{\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"type\":\"ufmsync\",\n"
	       "	 "
	       "\"delegate\":{\"type\":\"ib-sriov\",\"pkey\":\"0x5\"},\"verify\":true,\"verifyTimeout\":\"20s\"}\n\n"
	       "CNI versions:");
	for (const char *const *version = netconf_versions; *version; version++)
		printf(" %s", *version);
	printf("\n" NODE_FILE_VARIABLE "	the file that says how this node reaches the service (default:\n"
	       "	" NODE_FILE_DEFAULT ")\n");
}

/* A descriptor of ours must never become the delegate's stdin, stdout or stderr by being the first that is free. */
static bool open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) /* the lowest free one is taken */
			return false;
	return true;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("ufmsync-cni " UFMSYNC_VERSION);
		return 0;
	}
	bool by_hand = !environment_get(environ, "CNI_COMMAND") && isatty(STDIN_FILENO);
	if (by_hand || (argc > 1 && strcmp(argv[1], "--help") == 0)) {
		print_help();
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "ufmsync-cni: %s: accepted are --help and --version\n", argv[1]);
		return 2;
	}
	if (!open_standard_streams())
		return 1;
	prctl(PR_SET_DUMPABLE, 0); /* no core holds the node's token; the delegate's own are as they would be */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* a runtime that ignored it would keep the delegate's status from us */
	int status = plugin_run(environ, STDIN_FILENO, stdout);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "ufmsync-cni: stdout: %s\n", strerror(errno));
		return 1;
	}
	return status;
}
