/* Waits for P_Keys in ports, by asking the ports all the time: what tells when a change has arrived, with nothing of the
 * backend in it.
 *
 *	stdin, one a line: LID PKEY yes|no      until the port has the key, or no longer has it
 *	stdout: the time of CLOCK_MONOTONIC in seconds, or "never" after 20 s */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pkey/umad.h"

enum { NEVER_S = 20, PAUSE_US = 200 };

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool has(struct fabric *fabric, uint16_t lid, unsigned pkey, bool *known)
{
	static struct fabric_pkeys table;
	struct error err;
	bool found = false;

	*known = fabric_pkeys(fabric, lid, &table, &err) == 0;
	for (unsigned i = 0; *known && i < table.n; i++)
		found = found || (table.pkeys[i] & 0x7fff) == pkey;
	return found;
}

static void wait_for(struct fabric *fabric, uint16_t lid, unsigned pkey, bool wanted)
{
	double end = seconds() + NEVER_S;
	bool known;

	while (has(fabric, lid, pkey, &known) != wanted || !known) {
		if (seconds() > end) {
			puts("never");
			return;
		}
		usleep(PAUSE_US);
	}
	printf("%.6f\n", seconds());
}

int main(void)
{
	const struct fabric_options options = { .timeout_ms = 500 };
	struct fabric *fabric;
	struct error err;
	char line[64], wanted[8];
	unsigned lid, pkey;

	if (fabric_open(&fabric, &options, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) && sscanf(line, "%u %x %7s", &lid, &pkey, wanted) == 3) {
		wait_for(fabric, (uint16_t)lid, pkey, strcmp(wanted, "yes") == 0);
		fflush(stdout);
	}
	fabric_close(fabric);
	return 0;
}
