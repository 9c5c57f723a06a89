/* What pkey/umad sees of a fabric: for tests that compare it with infiniband-diags.
 *
 *	fabric_probe [--sm-key N] port | master | managers | enforces | sm-key | trap | scan | pkeys LID | find GUID */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pkey/umad.h"

static int fail(const struct error *err)
{
	printf("%s: %s\n", error_kind_name(err->kind), err->text);
	return 1;
}

static void show_found(void *aux, struct guid port, uint16_t lid)
{
	(void)aux;
	printf("%016llx %u\n", (unsigned long long)port.v, lid);
}

static int probe_pkeys(struct fabric *fabric, uint16_t lid, struct error *err)
{
	struct fabric_pkeys table;

	if (fabric_pkeys(fabric, lid, &table, err) < 0)
		return -1;
	printf("%u", table.size);
	for (unsigned i = 0; i < table.n; i++)
		printf(" %04x", table.pkeys[i]);
	putchar('\n');
	return 0;
}

static int probe_port(struct fabric *fabric, struct error *err)
{
	struct fabric_port port;

	if (fabric_port(fabric, &port, err) < 0)
		return -1;
	printf("%s %u %016llx %u %u %u\n", port.device, port.port, (unsigned long long)port.guid.v, port.lid,
	       port.sm_lid, port.state);
	return 0;
}

static int probe_master(struct fabric *fabric, struct error *err)
{
	struct mad_sm_info sm;

	if (fabric_master(fabric, &sm, err) < 0)
		return -1;
	printf("%016llx %u %u\n", (unsigned long long)sm.guid.v, sm.priority, sm.state);
	return 0;
}

static int probe(struct fabric *fabric, const char *what, const char *of, struct error *err)
{
	unsigned n;
	bool yes;
	uint16_t lid;
	struct guid guid;

	if (strcmp(what, "port") == 0)
		return probe_port(fabric, err);
	if (strcmp(what, "master") == 0)
		return probe_master(fabric, err);
	if (strcmp(what, "sm-key") == 0)
		return fabric_check_sm_key(fabric, err) < 0 ? -1 : printf("good\n") < 0;
	if (strcmp(what, "trap") == 0)
		return fabric_trap(fabric, err) < 0 ? -1 : (printf("sent\n"), usleep(300000));
	if (strcmp(what, "scan") == 0)
		return fabric_scan(fabric, show_found, NULL, err);
	if (strcmp(what, "pkeys") == 0)
		return probe_pkeys(fabric, (uint16_t)strtoul(of, NULL, 0), err);
	if (strcmp(what, "managers") == 0)
		return fabric_count_managers(fabric, &n, err) < 0 ? -1 : printf("%u\n", n) < 0;
	if (strcmp(what, "enforces") == 0)
		return fabric_enforces(fabric, &yes, err) < 0 ? -1 : printf("%s\n", yes ? "yes" : "no") < 0;
	if (strcmp(what, "find") == 0 && guid_parse_any(&guid, of))
		return fabric_find(fabric, guid, &lid, err) < 0 ? -1 : printf("%u\n", lid) < 0;
	return error_set(err, ERROR_INVALID, "%s: not known", what);
}

int main(int argc, char **argv)
{
	struct fabric_options options = { .sm_key = 1, .timeout_ms = 500 };
	struct fabric *fabric;
	struct error err;

	if (argc > 2 && strcmp(argv[1], "--sm-key") == 0) {
		options.sm_key = strtoull(argv[2], NULL, 0);
		argc -= 2;
		argv += 2;
	}
	if (argc < 2)
		return 2;
	if (fabric_open(&fabric, &options, &err) < 0)
		return fail(&err);
	int result = probe(fabric, argv[1], argc > 2 ? argv[2] : "0", &err);
	fabric_close(fabric);
	return result < 0 ? fail(&err) : 0;
}
