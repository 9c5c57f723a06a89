#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "guid/guid.h"
#include "pkey/mad.h"

/* The fabric through a local port: the one file behind this header knows libibumad, libibmad, libibnetdisc and
 * libibverbs.  All functions block, each for at most some seconds, and are for one worker at a time.
 *
 * ERROR_GONE: no such device, port or GUID; ERROR_RETRY: no answer in time; ERROR_AUTH: the SM refuses our SM_Key;
 * ERROR_OS: the device cannot be opened (rights). */
struct fabric;

struct fabric_options {
	const char *device; /* OPENSM_DEVICE; NULL: the first with an active InfiniBand port */
	unsigned port;      /* OPENSM_PORT; 0: any */
	uint64_t sm_key;    /* OPENSM_SM_KEY */
	int64_t timeout_ms; /* of one question; 0: 1 s, and one repetition */
};

struct fabric_port {
	char device[64];
	unsigned port;
	struct guid guid;
	uint16_t lid, sm_lid;
	unsigned state; /* 4 active */
};

int fabric_open(struct fabric **ret, const struct fabric_options *options, struct error *err);
void fabric_close(struct fabric *fabric); /* NULL is fine */
void fabric_set_sm_key(struct fabric *fabric, uint64_t sm_key);
int fabric_port(struct fabric *fabric, struct fabric_port *port, struct error *err); /* as it is now */

int fabric_master(struct fabric *fabric, struct mad_sm_info *info, struct error *err);
/* How many subnet managers the master knows, itself included. */
int fabric_count_managers(struct fabric *fabric, unsigned *n, struct error *err);
/* By the SA.  ERROR_GONE: it knows no such port, or shows it to full members of the default partition only: then
 * fabric_scan(), which asks every node (0.2 s for 500), knows better. */
int fabric_find(struct fabric *fabric, struct guid port, uint16_t *lid, struct error *err);
int fabric_scan(struct fabric *fabric, void (*each)(void *aux, struct guid port, uint16_t lid), void *aux,
		struct error *err);
/* The P_Key table that stands in a port itself (of a switch: its port 0); top bit: full member; zeros left out.  `size`:
 * how many it holds at most.  `lid` 0: our own. */
enum { FABRIC_PKEYS_MAX = 4096 };
struct fabric_pkeys {
	uint16_t pkeys[FABRIC_PKEYS_MAX];
	unsigned n, size;
	struct mad_node_info node; /* whose table this is: its port may be another than was thought */
};
int fabric_pkeys(struct fabric *fabric, uint16_t lid, struct fabric_pkeys *table, struct error *err);
/* Does the switch in front of our own port let only packets of our partitions through? */
int fabric_enforces(struct fabric *fabric, bool *enforces, struct error *err);
/* Is our SM_Key the SM's? */
int fabric_check_sm_key(struct fabric *fabric, struct error *err);
/* Has the SM sweep (and read its partitions anew). */
int fabric_trap(struct fabric *fabric, struct error *err);
