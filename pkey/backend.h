#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/call.h"
#include "base/error.h"
#include "pkey/members.h"
#include "pkey/pkey.h"

/* What every way of changing a fabric's partitions promises (UFM, OpenSM, noop).
 *
 * All functions answer later, from the loop, never from inside the call, exactly once, and not at all after
 * pkey_backend_free(), which may be called from any `done` (not from `member` or `partition`).  The caller keeps at most
 * one of join and leave under way and may ask for the next from the `done` of the last; lists may overlap a write and each
 * other.  Success of join or leave means "accepted": only a list that was started after it shows what became of it.
 *
 * Errors of a write: ERROR_RETRY (its outcome is unknown: it may still be applied, a removal also in part), ERROR_AUTH
 * (nothing was done, or of a removal that takes several requests a part), ERROR_INVALID (refused: this request will never be
 * accepted), ERROR_GONE (refused because the fabric manager does not know a GUID or the like: may be accepted later),
 * ERROR_LIMIT.  Errors of a list or a probe: ERROR_RETRY, ERROR_AUTH, ERROR_LIMIT; of a setting ERROR_INVALID. */
struct pkey_backend;

typedef void pkey_done_fn(void *aux, const struct error *err); /* NULL: accepted, listed, or alive */

struct pkey_list_sink {
	/* A member.  Called in the order of arrival, many times, before `done`; nothing may be concluded before `done`. */
	void (*member)(void *aux, struct pkey pkey, const struct member *member);
	/* A partition was seen, perhaps without members; optional, once a partition, before or behind its members.
	 * `listed_membership`: what the management partition gives to everybody, -1 unknown. */
	void (*partition)(void *aux, struct pkey pkey, int listed_membership);
	pkey_done_fn *done;
	void *aux;
};

/* A virtual port as the fabric manager sees it.  The texts are printable ASCII, cut where too long, "" where it does not
 * say. */
enum { PKEY_PORT_TEXT_MAX = 65 };
struct pkey_port {
	struct guid guid;
	char state[24];                  /* "Active", "Down", ... */
	unsigned lid;                    /* 0: none */
	char node[PKEY_PORT_TEXT_MAX];   /* the machine's name */
	char device[PKEY_PORT_TEXT_MAX]; /* how the physical port below it describes itself: "node1 mlx5_0" */
	unsigned number;                 /* of that port; 0: unknown */
};

struct pkey_ports_sink {
	void (*port)(void *aux, const struct pkey_port *port); /* many times, before `done` */
	pkey_done_fn *done;
	void *aux;
};

/* What a backend asks of the fabric manager, for those who measure it: one request over the network, or one job on
 * OpenSM's file.  A join or a leave may take several. */
enum pkey_operation { PKEY_JOIN, PKEY_LEAVE, PKEY_LIST, PKEY_LIST_ALL, PKEY_LIST_PORTS, PKEY_PROBE, PKEY_OPERATIONS };
static inline const char *pkey_operation_name(enum pkey_operation operation)
{
	static const char *const names[PKEY_OPERATIONS] = {
		"join", "leave", "list", "list_all", "list_ports", "probe"
	};

	return names[operation];
}

struct pkey_observer {
	/* It has ended, after so long; from the loop, before the `done` that it may lead to.  Must not call the backend. */
	void (*ended)(void *aux, enum pkey_operation operation, enum call_outcome outcome, int64_t ms);
	void *aux;
};

struct pkey_backend_class {
	const char *name; /* "ufm", "opensm", "noop" */
	size_t guids_max; /* GUIDs a call may carry */
	/* Joins `guids` (n > 0, borrowed until return) to the class.  Joining a member is fine and sets its membership.
	 * `by_ms`, here and below: from that time on (loop_now_ms()) nothing of it goes out any more, whatever kept it so
	 * long; what was still to be done is then ERROR_RETRY. */
	void (*join)(struct pkey_backend *backend, struct pkey_class class, const struct guid *guids, size_t n,
		     int64_t by_ms, pkey_done_fn *done, void *aux);
	/* Removes them from the PKey.  Those that are no members, and a PKey that does not exist, are fine. */
	void (*leave)(struct pkey_backend *backend, struct pkey pkey, const struct guid *guids, size_t n, int64_t by_ms,
		      pkey_done_fn *done, void *aux);
	/* Members of one PKey, or of all with NULL.  A PKey that does not exist has no members.  Success only when the
	 * answer was complete. */
	void (*list)(struct pkey_backend *backend, const struct pkey *only, const struct pkey_list_sink *sink);
	/* The virtual ports that it sees.  NULL: it cannot tell.  At most one under way; overlaps everything else.  That a
	 * port is not among them is no proof that it is not there: a fabric manager may look for them seldom, or never.
	 * A port may come twice.  Errors as of a list, and ERROR_INVALID: this release does not offer it. */
	void (*list_ports)(struct pkey_backend *backend, const struct pkey_ports_sink *sink);
	/* Is it there, are we let in, is it what we think it is? */
	void (*probe)(struct pkey_backend *backend, pkey_done_fn *done, void *aux);
	void (*free)(struct pkey_backend *backend);
};

struct pkey_backend {
	const struct pkey_backend_class *class;
	struct pkey_observer observer; /* may be set right after the backend was made; `ended` NULL: nobody measures */
};

static inline void pkey_backend_ended(const struct pkey_backend *backend, enum pkey_operation operation,
				      enum call_outcome outcome, int64_t ms)
{
	if (backend->observer.ended)
		backend->observer.ended(backend->observer.aux, operation, outcome, ms);
}

static inline void pkey_backend_free(struct pkey_backend *backend)
{
	if (backend)
		backend->class->free(backend);
}
