#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net/loop.h"
#include "ufmsync/kube/client.h"

/* One leader by a coordination.k8s.io/v1 Lease.  Clocks of others are never compared with ours: a Lease counts as
 * expired when it has not changed for its own duration as we saw it.  All times are loop_now_ms(), which goes on while
 * the machine sleeps. */
struct lease;

struct lease_times {
	int64_t duration_ms;       /* whole seconds; how long others leave a silent holder alone */
	int64_t renew_deadline_ms; /* a holder that could not renew for so long has lost */
	int64_t retry_ms;          /* between two tries to renew; who does not hold it looks twice as often */
};

struct lease_options {
	const char *namespace, *name, *identity;
	const char *annotation; /* key of an annotation that the holder keeps on the Lease */
	struct lease_times times;
	int64_t linger_ms; /* how long a request of a holder that died may still go on */
	/* We hold it.  Nothing may be written before `quiet_until`: the last holder, or we ourselves when we had lost it, may
	 * still be heard until then (now, after a clean release).  Nor, unless everything here is new, before `doubt_until`:
	 * when there was no Lease, or one that names nobody and was not given back, somebody may have taken it away under
	 * its holder.  `annotation`: its value, or NULL. */
	void (*leading)(void *aux, int64_t quiet_until, int64_t doubt_until, const char *annotation);
	void (*lost)(void *aux); /* somebody else may write from now on; the lease tries to come back by itself */
	/* Before each renewal: the annotation's new value (copied), or NULL to leave it as it is. */
	const char *(*annotate)(void *aux, const char *current);
	void (*trouble)(void *aux, const struct error *err); /* tried again by itself; NULL: all is well again */
	void *aux;
};

struct lease *lease_new(struct loop *loop, struct kube *kube,
			const struct lease_options *options); /* texts are copied */
void lease_free(struct lease *lease);                         /* does not release it; NULL is fine */

/* Until when (loop_now_ms()) it is certain that nobody else may write: from then on nothing of ours may leave any more,
 * however long ago it was asked for.  A renewal moves it on.  0: we do not hold it. */
int64_t lease_write_by(const struct lease *lease);
bool lease_may_write(const struct lease *lease, int64_t now_ms); /* it is not that late yet */
/* Whether anybody, we included, holds it: by name, and not expired as we saw it. */
bool lease_is_held(const struct lease *lease, int64_t now_ms);
const char *lease_holder(const struct lease *lease); /* who held it when last seen; "" nobody or not known */
/* Gives it back, so that the next holder need not wait, and calls `done` (also when that failed).  The caller has
 * finished its own writes; who came before it may still be heard until `quiet_until`, which the next holder is told.  A
 * renewal under way ends first; a server that gives no answer is waited for once. */
void lease_release(struct lease *lease, int64_t quiet_until, void (*done)(void *aux), void *aux);

/* The pure part.  What to do about a Lease as it was read. */
enum lease_step { LEASE_WAIT, LEASE_CREATE, LEASE_TAKE };
struct lease_seen {
	bool exists;
	const char *holder;   /* "" when nobody */
	int64_t unchanged_ms; /* for how long it has looked like this to us */
	int64_t duration_ms;  /* as it says */
};
enum lease_step lease_decide(const struct lease_seen *seen, const char *identity);
