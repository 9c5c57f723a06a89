#include "pkey/opensm_proof.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/net/loop.h"
#include "pkey/opensm_log.h"

enum {
	RELOAD_AGAIN_MS = 2000,
	LOOK_MS = 20,
	SETTLE_MS = 2000,
	/* A port without any partition may only have lost its link for a moment. */
	OPEN_FOR_SURE_MS = 300,
	IDLE_MS = 900,
	IDLE_SENDS = 2, /* the answer to us is one */
	DEFAULT_FULL = 0xffff,
};

static void pause_ms(long ms)
{
	struct timespec pause = { .tv_nsec = ms * 1000 * 1000 };

	nanosleep(&pause, NULL);
}

int opensm_retry(struct error *err)
{
	if (err->kind != ERROR_AUTH)
		err->kind = ERROR_RETRY;
	return -1;
}

/* What our own port shows. */
struct sight {
	bool there[2];            /* that canary, at any level */
	enum membership level[2]; /* and at which */
	bool open;                /* nothing but full membership of the default partition */
};

/* A port that comes up has its keys before it is active: without them it is only not ready yet. */
static bool is_active(struct opensm_desk *desk)
{
	struct fabric_port port;
	struct error ignored;

	return fabric_port(desk->fabric, &port, &ignored) == 0 && port.state == MAD_PORT_ACTIVE;
}

static int look_at_port(struct opensm_desk *desk, struct sight *sight, struct error *err)
{
	struct fabric_pkeys *table = mem_alloc(sizeof *table);
	int result = opensm_desk_fabric(desk, err);

	*sight = (struct sight){ 0 };
	if (result == 0)
		result = fabric_pkeys(desk->fabric, 0, table, err);
	for (unsigned i = 0; result == 0 && i < table->n; i++)
		for (unsigned canary = 0; canary < 2; canary++)
			if ((table->pkeys[i] & 0x7fff) == desk->options.canaries[canary].v) {
				sight->there[canary] = true;
				sight->level[canary] = table->pkeys[i] & 0x8000 ? MEMBERSHIP_FULL : MEMBERSHIP_LIMITED;
			}
	sight->open = result == 0 && table->n == 1 && table->pkeys[0] == DEFAULT_FULL && is_active(desk);
	free(table);
	if (result < 0 && err->kind == ERROR_OS && desk->fabric) {
		/* The device is another by now, though its name is the same: its driver was loaded anew. */
		fabric_close(desk->fabric);
		desk->fabric = NULL;
	}
	return result;
}

static int look(struct opensm_desk *desk, enum opensm_proof *proof, struct error *err)
{
	const struct opensm_canary *canary = &desk->canary;
	struct sight sight;

	*proof = PROOF_NONE;
	if (look_at_port(desk, &sight, err) < 0)
		return -1;
	if (canary->which != CANARY_NONE && sight.there[canary->which] && sight.level[canary->which] == canary->level &&
	    !sight.there[!canary->which])
		*proof = PROOF_READ;
	else if (sight.open)
		*proof = PROOF_REFUSED;
	return 0;
}

/* It answers, and does nothing else: no sweep is under way that may still read the file.  It counts the datagrams that it
 * sends; a sweep takes many. */
static bool is_idle(struct opensm_desk *desk)
{
	struct mad_sm_info before = opensm_reader(desk);

	if (!before.guid.v)
		return false;
	pause_ms(IDLE_MS);
	struct mad_sm_info now = opensm_reader(desk);
	return now.guid.v == before.guid.v && now.activity - before.activity <= IDLE_SENDS;
}

/* Nothing has come of it in time: is that an answer? */
static enum opensm_proof last_look(struct opensm_desk *desk)
{
	bool idle = is_idle(desk);
	enum opensm_proof proof;
	struct error ignored;

	if (look(desk, &proof, &ignored) < 0 || (proof == PROOF_REFUSED && !idle))
		return PROOF_NONE;
	return proof;
}

int opensm_prove(struct opensm_desk *desk, bool had_canary, off_t log, int64_t wait_ms, enum opensm_proof *proof,
		 struct error *err)
{
	int64_t end = loop_now_ms() + wait_ms, again = 0, open_since = 0;
	bool reloaded = false, blind = false;

	*proof = PROOF_NONE;
	do {
		struct error failed;
		if (loop_now_ms() >= again) {
			again = loop_now_ms() + RELOAD_AGAIN_MS;
			/* Without an OpenSM there is nothing to wait for: it reads the file when it starts. */
			if (opensm_reload_now(&desk->reload, desk->fabric, &failed) == 0) {
				reloaded = true;
				desk->counts.reloads++;
			} else if (!reloaded) {
				*err = failed;
				return -1;
			}
		}
		if (!desk->options.verify) {
			desk->told = true;
			*proof = PROOF_READ;
			return 0;
		}
		blind = look(desk, proof, err) < 0;
		if (blind || *proof != PROOF_REFUSED)
			open_since = 0;
		else if (!open_since)
			open_since = loop_now_ms();
		if (*proof == PROOF_READ)
			return 0;
		bool open_for_sure = had_canary && open_since && loop_now_ms() - open_since >= OPEN_FOR_SURE_MS;
		*proof = open_for_sure || opensm_log_refuses(desk->options.log, log) ? PROOF_REFUSED : PROOF_NONE;
		if (*proof == PROOF_REFUSED)
			return 0;
		pause_ms(LOOK_MS);
	} while (loop_now_ms() < end && !desk->stopping);
	*proof = open_since && !desk->stopping ? last_look(desk) : PROOF_NONE;
	if (*proof != PROOF_NONE)
		return 0;
	if (blind)
		return error_wrap(err, "OpenSM was told to read %s; whether it did cannot be seen", desk->options.file);
	return error_set(err, ERROR_RETRY,
			 "OpenSM was told to read %s, and did not in %lld s: our own port does not show the canary "
			 "partition; is "
			 "this the file that it reads (-P)?",
			 desk->options.file, (long long)wait_ms / 1000);
}

int opensm_own_port(struct opensm_desk *desk, struct guid *guid, struct error *err)
{
	struct fabric_port port;

	*guid = (struct guid){ 0 };
	if (!desk->options.verify && desk->reload.way != OPENSM_RELOAD_TRAP)
		return 0;
	if (opensm_desk_fabric(desk, err) < 0)
		return opensm_retry(err);
	if (fabric_port(desk->fabric, &port, err) < 0) { /* unplugged, or its driver was loaded anew */
		fabric_close(desk->fabric);
		desk->fabric = NULL;
		return opensm_retry(err);
	}
	*guid = port.guid;
	return 0;
}

bool opensm_has_own_canary(const struct opensm_desk *desk, struct guid own)
{
	return desk->canary.which != CANARY_NONE && desk->canary.port.v == own.v;
}

int opensm_settle(struct opensm_desk *desk, struct error *err)
{
	enum opensm_proof proof;

	if (look(desk, &proof, err) < 0)
		return opensm_retry(err);
	if (proof == PROOF_READ)
		return 0;
	if (opensm_prove(desk, true, opensm_log_size(desk->options.log), SETTLE_MS, &proof, err) < 0)
		return opensm_retry(err);
	return proof == PROOF_READ
		       ? 0
		       : error_set(err, ERROR_RETRY,
				   "OpenSM refuses %s as it stands: the fabric is open to everybody until it is mended",
				   desk->options.file);
}

int opensm_next_canary(struct opensm_desk *desk, struct guid own, struct opensm_canary *next, struct error *err)
{
	struct sight sight;

	*next = (struct opensm_canary){ .which = CANARY_NONE };
	if (!desk->options.verify)
		return 0;
	if (opensm_has_own_canary(desk, own) && opensm_settle(desk, err) < 0)
		return -1;
	if (look_at_port(desk, &sight, err) < 0)
		return opensm_retry(err);
	if (sight.there[0] && sight.there[1])
		return error_set(
			err, ERROR_RETRY,
			"our own port is in both canary partitions (OPENSM_CANARY_PKEYS): somebody else uses them");
	if (!desk->attempt) /* one that died may have tried any */
		desk->attempt = (unsigned)(loop_now_ms() & 0xffff);
	do {
		next->which = ++desk->attempt % 2 ? CANARY_SECOND : CANARY_FIRST;
		next->level = desk->attempt / 2 % 2 ? MEMBERSHIP_LIMITED : MEMBERSHIP_FULL;
	} while ((next->which == desk->canary.which && next->level == desk->canary.level) ||
		 (sight.there[next->which] && sight.level[next->which] == next->level));
	next->port = own;
	return 0;
}

struct mad_sm_info opensm_reader(struct opensm_desk *desk)
{
	struct mad_sm_info master;
	struct error ignored;

	if (!desk->fabric || fabric_master(desk->fabric, &master, &ignored) < 0 || master.state != MAD_SM_MASTER)
		master = (struct mad_sm_info){ 0 };
	return master;
}

void opensm_remember(struct opensm_desk *desk, const struct buf *text, struct mad_sm_info reader)
{
	buf_clear(&desk->read);
	buf_append(&desk->read, text->data, text->len);
	desk->reader = reader;
}

bool opensm_remembers(struct opensm_desk *desk, const struct buf *text)
{
	if (text->len != desk->read.len || memcmp(text->data, desk->read.data, text->len) != 0)
		return false;
	struct mad_sm_info now = opensm_reader(desk);
	if (!now.guid.v)
		return true;
	/* It counts what it does, from 0 at its start. */
	if (now.guid.v != desk->reader.guid.v || (int32_t)(now.activity - desk->reader.activity) < 0)
		return false;
	desk->reader = now;
	return true;
}
