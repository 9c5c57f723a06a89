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
void fabric_port(const struct fabric *fabric, struct fabric_port *port);

int fabric_master(struct fabric *fabric, struct mad_sm_info *info, struct error *err);
/* All subnet managers that the master knows of; at most `max`. */
int fabric_managers(struct fabric *fabric, struct guid *ports, unsigned max, unsigned *n, struct error *err);
/* By the SA, else (a limited member sees nobody there) by looking at the whole fabric.  ERROR_GONE: no such port. */
int fabric_find(struct fabric *fabric, struct guid port, uint16_t *lid, struct error *err);
/* The P_Key table that stands in a port itself; top bit: full member; zeros left out.  `lid` 0: our own. */
enum { FABRIC_PKEYS_MAX = 4096 };
int fabric_pkeys(struct fabric *fabric, uint16_t lid, uint16_t *pkeys, unsigned max, unsigned *n, struct error *err);
/* Does the switch in front of this port enforce partitions? */
int fabric_enforces(struct fabric *fabric, uint16_t lid, bool *enforces, struct error *err);
/* Is our SM_Key the SM's? */
int fabric_check_sm_key(struct fabric *fabric, struct error *err);
/* Has the SM sweep (and read its partitions anew). */
int fabric_trap(struct fabric *fabric, struct error *err);
