#include "pkey/opensm_desk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "pkey/opensm_drift.h"
#include "pkey/opensm_log.h"
#include "pkey/partitions_file.h"

enum {
	PROVE_MS = 10 * 1000,
	DRIFT_MS = 30 * 1000,
	RELOAD_AGAIN_MS = 2000,
	LOOK_MS = 20,
	SETTLE_MS = 2000,
	/* A port without any partition may only have lost its link for a moment. */
	OPEN_FOR_SURE_MS = 300,
	/* Each file that OpenSM refuses opens the fabric for a moment. */
	AFTER_REFUSAL_MS = 5 * 60 * 1000,
	CONFLICTS_MAX = 5,
	DEFAULT_FULL = 0xffff,
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	struct timespec pause = { .tv_nsec = ms * 1000 * 1000 };

	nanosleep(&pause, NULL);
}

int opensm_desk_init(struct opensm_desk *desk, const struct opensm_options *options, struct error *err)
{
	*desk = (struct opensm_desk){ .options = *options, .canary = { .which = CANARY_NONE } };
	desk->options.file = mem_dup(options->file);
	desk->options.reload = NULL;
	desk->options.log = mem_dup(options->log);
	desk->options.fabric.device = mem_dup(options->fabric.device);
	if (!desk->options.prove_ms)
		desk->options.prove_ms = PROVE_MS;
	if (!desk->options.drift_ms)
		desk->options.drift_ms = DRIFT_MS;
	desk->drift = opensm_drift_new();
	return opensm_reload_parse(&desk->reload, options->reload, err);
}

static void forget_members(struct opensm_desk *desk)
{
	for (size_t i = 0; i < PKEY_COUNT; i++) {
		members_free(desk->members[i]);
		desk->members[i] = NULL;
	}
	desk->canary.which = CANARY_NONE;
	desk->proven = false;
}

void opensm_desk_free(struct opensm_desk *desk)
{
	forget_members(desk);
	opensm_desk_forget_findings(desk);
	opensm_drift_free(desk->drift);
	fabric_close(desk->fabric);
	opensm_reload_free(&desk->reload);
	free((char *)(uintptr_t)desk->options.file);
	free((char *)(uintptr_t)desk->options.log);
	free((char *)(uintptr_t)desk->options.fabric.device);
}

int opensm_desk_fabric(struct opensm_desk *desk, struct error *err)
{
	return desk->fabric ? 0 : fabric_open(&desk->fabric, &desk->options.fabric, err);
}

/* --- the file --- */

static void take_member(void *aux, struct pkey pkey, const struct member *member)
{
	struct opensm_desk *desk = aux;

	for (unsigned i = 0; i < 2; i++)
		if (pkey.v == desk->options.canaries[i].v) {
			desk->canary.which = i;
			desk->canary.level = member->membership;
			desk->canary.port = member->guid;
			return;
		}
	if (!desk->members[pkey.v])
		desk->members[pkey.v] = members_new();
	struct member ours = *member;
	/* The flag is the partition's, and OpenSM gives it to all; limited ones never ask for it. */
	ours.index0 = member->index0 && member->membership == MEMBERSHIP_FULL;
	members_add(desk->members[pkey.v], ours);
}

/* What OpenSM would refuse is said with its line, even where only our part is wanted. */
static int check_file(const struct buf *text, struct error *err)
{
	struct partitions *all;

	if (partitions_parse(&all, text->data, text->len, NULL, err) < 0)
		return -1;
	partitions_free(all);
	return 0;
}

static int read_file(struct opensm_desk *desk, struct buf *text, struct error *err)
{
	forget_members(desk);
	buf_clear(text);
	if (partitions_file_read(text, desk->options.file, err) < 0 || check_file(text, err) < 0 ||
	    partitions_each_of_ours(text->data, text->len, take_member, desk, err) < 0) {
		err->kind = ERROR_RETRY; /* until somebody mends it */
		return error_wrap(err, "%s", desk->options.file);
	}
	return 0;
}

static void apply(struct opensm_desk *desk, const struct opensm_change *change)
{
	struct members **members = &desk->members[change->class.pkey.v];

	if (!*members)
		*members = members_new();
	for (size_t i = 0; i < change->n; i++)
		if (change->join)
			members_add(*members, (struct member){ change->guids[i], change->class.membership,
							       change->class.index0 });
		else
			members_remove(*members, change->guids[i]);
}

static bool any_at_index0(const struct members *members)
{
	const struct member *member;
	size_t at = 0;

	while ((member = members_next(members, &at)))
		if (member->index0)
			return true;
	return false;
}

/* The whole new text of the file. */
static int compose(const struct opensm_desk *desk, const struct opensm_canary *canary, const struct buf *before,
		   struct buf *text, struct error *err)
{
	struct partitions_ours *ours = mem_array(PKEY_COUNT + 1, sizeof *ours);
	struct members *canary_members = members_new();
	size_t n = 0;

	if (canary->which != CANARY_NONE) {
		members_add(canary_members, (struct member){ canary->port, canary->level, false });
		ours[n++] = (struct partitions_ours){ .pkey = desk->options.canaries[canary->which],
						      .members = canary_members };
	}
	for (unsigned pkey = 1; pkey < PKEY_COUNT; pkey++)
		if (desk->members[pkey])
			ours[n++] = (struct partitions_ours){ .pkey = { (uint16_t)pkey },
							      .ipoib = desk->options.ip_over_ib,
							      .index0 = any_at_index0(desk->members[pkey]),
							      .members = desk->members[pkey] };
	buf_clear(text);
	int result = partitions_replace(text, before->data, before->len, ours, n, err);
	members_free(canary_members);
	free(ours);
	return result;
}

/* --- proof --- */

enum proof { PROOF_NONE, PROOF_READ, PROOF_REFUSED };

/* What our own port shows. */
struct sight {
	bool there[2];            /* that canary, at any level */
	enum membership level[2]; /* and at which */
	bool open;                /* nothing but full membership of the default partition */
};

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
	sight->open = result == 0 && table->n == 1 && table->pkeys[0] == DEFAULT_FULL;
	free(table);
	return result;
}

static int look(struct opensm_desk *desk, enum proof *proof, struct error *err)
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

/* Reloads until the proof is there, or for `wait_ms`.  `had_canary`: the file before had one too, so that a port without
 * any means refusal, not only that nothing was read yet.  `log`: how long OpenSM's log was before the file was there. */
static int prove(struct opensm_desk *desk, bool had_canary, off_t log, int64_t wait_ms, enum proof *proof,
		 struct error *err)
{
	int64_t end = now_ms() + wait_ms, again = 0, open_since = 0;
	bool reloaded = false;

	*proof = PROOF_NONE;
	do {
		struct error failed;
		if (now_ms() >= again) {
			again = now_ms() + RELOAD_AGAIN_MS;
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
		if (look(desk, proof, err) < 0 || *proof != PROOF_REFUSED)
			open_since = 0;
		else if (!open_since)
			open_since = now_ms();
		if (*proof == PROOF_READ)
			return 0;
		bool open_for_sure = had_canary && open_since && now_ms() - open_since >= OPEN_FOR_SURE_MS;
		*proof = open_for_sure || opensm_log_refuses(desk->options.log, log) ? PROOF_REFUSED : PROOF_NONE;
		if (*proof == PROOF_REFUSED)
			return 0;
		pause_ms(LOOK_MS);
	} while (now_ms() < end && !desk->stopping);
	return error_set(err, ERROR_RETRY,
			 "OpenSM was told to read %s, and did not in %lld s: our own port does not show the canary "
			 "partition; is "
			 "this the file that it reads (-P)?",
			 desk->options.file, (long long)wait_ms / 1000);
}

/* --- what the backend does --- */

static int retry(struct error *err)
{
	if (err->kind != ERROR_AUTH)
		err->kind = ERROR_RETRY;
	return -1;
}

static int own_port(struct opensm_desk *desk, struct guid *guid, struct error *err)
{
	struct fabric_port port;

	*guid = (struct guid){ 0 };
	if (!desk->options.verify && desk->reload.way != OPENSM_RELOAD_TRAP)
		return 0;
	if (opensm_desk_fabric(desk, err) < 0)
		return retry(err);
	if (fabric_port(desk->fabric, &port, err) < 0) { /* unplugged, or its driver was loaded anew */
		fabric_close(desk->fabric);
		desk->fabric = NULL;
		return retry(err);
	}
	*guid = port.guid;
	return 0;
}

static bool has_own_canary(const struct opensm_desk *desk, struct guid own)
{
	return desk->canary.which != CANARY_NONE && desk->canary.port.v == own.v;
}

/* What stands in the file has been read by OpenSM, at the latest now. */
static int settle(struct opensm_desk *desk, struct error *err)
{
	enum proof proof;

	if (look(desk, &proof, err) < 0)
		return retry(err);
	if (proof == PROOF_READ)
		return 0;
	if (prove(desk, true, opensm_log_size(desk->options.log), SETTLE_MS, &proof, err) < 0)
		return retry(err);
	return proof == PROOF_READ
		       ? 0
		       : error_set(err, ERROR_RETRY,
				   "OpenSM refuses %s as it stands: the fabric is open to everybody until it is mended",
				   desk->options.file);
}

/* The canary of the file to be written: one that our port does not show now. */
static int next_canary(struct opensm_desk *desk, struct guid own, struct opensm_canary *next, struct error *err)
{
	struct sight sight;

	*next = (struct opensm_canary){ .which = CANARY_NONE };
	if (!desk->options.verify)
		return 0;
	if (has_own_canary(desk, own) && settle(desk, err) < 0)
		return -1;
	if (look_at_port(desk, &sight, err) < 0)
		return retry(err);
	if (sight.there[0] && sight.there[1])
		return error_set(
			err, ERROR_RETRY,
			"our own port is in both canary partitions (OPENSM_CANARY_PKEYS): somebody else uses them");
	next->which = sight.there[0] ? CANARY_SECOND : CANARY_FIRST;
	next->level = desk->attempts++ % 2 ? MEMBERSHIP_LIMITED : MEMBERSHIP_FULL;
	next->port = own;
	return 0;
}

static int put_back(struct opensm_desk *desk, const struct buf *refused, const struct buf *before, struct error *err)
{
	struct error back;
	struct buf ignored;
	enum proof proof;

	buf_init(&ignored, PARTITIONS_TEXT_MAX);
	int result = partitions_file_write(desk->options.file, refused, before, &back);
	if (result == 0)
		result = read_file(desk, &ignored, &back);
	buf_free(&ignored);
	if (result == 0)
		prove(desk, false, opensm_log_size(desk->options.log), RELOAD_AGAIN_MS, &proof, &back);
	desk->not_before_ms = now_ms() + AFTER_REFUSAL_MS;
	return error_set(err, ERROR_RETRY, "OpenSM refused the new %s; %s%s; no other is written for %d minutes",
			 desk->options.file,
			 result == 0 ? "the one before is back in its place" : "putting the one before back failed: ",
			 result == 0 ? "" : back.text, AFTER_REFUSAL_MS / 60000);
}

static int write_once(struct opensm_desk *desk, const struct opensm_change *changes, size_t n, struct buf *before,
		      struct buf *text, int64_t by_ms, struct error *err)
{
	struct opensm_canary canary;
	struct guid own;
	enum proof proof;

	if (now_ms() < desk->not_before_ms)
		return error_set(err, ERROR_RETRY, "OpenSM refused the last new %s; no other is written for a while",
				 desk->options.file);
	if (own_port(desk, &own, err) < 0 || read_file(desk, before, err) < 0)
		return -1;
	bool had_canary = has_own_canary(desk, own);
	if (next_canary(desk, own, &canary, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		apply(desk, &changes[i]);
	if (compose(desk, &canary, before, text, err) < 0) {
		error_wrap(err, "%s", desk->options.file);
		return retry(err);
	}
	if (now_ms() >= by_ms) /* another may lead by now */
		return error_set(err, ERROR_RETRY, "%s could not be changed in time", desk->options.file);
	off_t log = opensm_log_size(desk->options.log); /* from then on it may be read */
	desk->told = false;
	if (partitions_file_write(desk->options.file, before, text, err) < 0)
		return err->kind == ERROR_CONFLICT ? -1 : retry(err);
	desk->canary = canary;
	desk->counts.written++;
	if (prove(desk, had_canary, log, desk->options.prove_ms, &proof, err) < 0) {
		desk->counts.unproven++;
		return retry(err);
	}
	desk->counts.refused += proof == PROOF_REFUSED;
	return proof == PROOF_REFUSED ? put_back(desk, text, before, err) : 0;
}

int opensm_desk_write(struct opensm_desk *desk, const struct opensm_change *changes, size_t n, int64_t by_ms,
		      struct error *err)
{
	struct buf before, text;
	int result = -1;

	buf_init(&before, PARTITIONS_TEXT_MAX);
	buf_init(&text, PARTITIONS_TEXT_MAX);
	for (int i = 0; i < CONFLICTS_MAX && result < 0; i++) {
		result = write_once(desk, changes, n, &before, &text, by_ms, err);
		if (result < 0 && err->kind != ERROR_CONFLICT)
			break;
	}
	buf_free(&before);
	buf_free(&text);
	desk->proven = result == 0;
	if (result < 0 && err->kind == ERROR_CONFLICT)
		return retry(err);
	return result;
}

static bool has_members(const struct opensm_desk *desk)
{
	for (size_t i = 0; i < PKEY_COUNT; i++)
		if (desk->members[i])
			return true;
	return false;
}

/* Without looking: a reload that failed, or that nobody remembers, is made up for. */
static int tell(struct opensm_desk *desk, struct error *err)
{
	enum proof proof;

	return desk->told || prove(desk, false, 0, 0, &proof, err) == 0 ? 0 : retry(err);
}

int opensm_desk_read(struct opensm_desk *desk, struct error *err)
{
	struct guid own;
	struct buf text;

	buf_init(&text, PARTITIONS_TEXT_MAX);
	int result = desk->options.look_only ? 0 : own_port(desk, &own, err);
	if (result == 0)
		result = read_file(desk, &text, err);
	buf_free(&text);
	if (result < 0 || desk->options.look_only)
		return result;
	if (!desk->options.verify)
		return tell(desk, err);
	if (has_own_canary(desk, own)) {
		result = settle(desk, err);
		desk->proven = result == 0;
		return result;
	}
	/* None (written without proof), or that of another port (ours was replaced): it gets one.  A file that never was ours
	 * stays as it is. */
	return has_members(desk) || desk->canary.which != CANARY_NONE
		       ? opensm_desk_write(desk, NULL, 0, now_ms() + desk->options.prove_ms, err)
		       : 0;
}

int opensm_desk_probe(struct opensm_desk *desk, struct error *err)
{
	struct mad_sm_info sm;
	struct buf text;

	buf_init(&text, PARTITIONS_TEXT_MAX);
	int result = read_file(desk, &text, err);
	buf_free(&text);
	if (result < 0 || !desk->options.verify)
		return result;
	if (opensm_desk_fabric(desk, err) < 0 || fabric_master(desk->fabric, &sm, err) < 0)
		return retry(err);
	return 0;
}
