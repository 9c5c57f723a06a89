#include "pkey/opensm_desk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/net/loop.h"
#include "pkey/opensm_drift.h"
#include "pkey/opensm_log.h"
#include "pkey/opensm_proof.h"
#include "pkey/partitions_file.h"

enum {
	PROVE_MS = 10 * 1000,
	DRIFT_MS = 30 * 1000,
	BACK_MS = 2000,
	/* Each file that OpenSM refuses opens the fabric for a moment. */
	AFTER_REFUSAL_MS = 5 * 60 * 1000,
	CONFLICTS_MAX = 5,
};

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
	buf_init(&desk->read, PARTITIONS_TEXT_MAX);
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
	buf_free(&desk->read);
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
	struct partitions_ours *ours = mem_array(PKEY_COUNT + 2, sizeof *ours);
	struct members *canary_members = members_new(), *none = members_new();
	size_t n = 0;

	if (canary->which != CANARY_NONE) {
		members_add(canary_members, (struct member){ canary->port, canary->level, false });
		ours[n++] = (struct partitions_ours){ .pkey = desk->options.canaries[canary->which],
						      .members = canary_members };
		/* Nobody else may define the other one either: it is the next write's. */
		ours[n++] = (struct partitions_ours){ .pkey = desk->options.canaries[!canary->which], .members = none };
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
	members_free(none);
	free(ours);
	return result;
}

/* --- what the backend does --- */

static int put_back(struct opensm_desk *desk, bool had_canary, const struct buf *refused, const struct buf *before,
		    struct error *err)
{
	struct error back;
	struct buf ignored;
	enum opensm_proof proof = PROOF_NONE;

	buf_init(&ignored, PARTITIONS_TEXT_MAX);
	int result = partitions_file_write(desk->options.file, refused, before, INT64_MAX, &back);
	if (result == 0)
		result = read_file(desk, &ignored, &back);
	buf_free(&ignored);
	if (result == 0)
		opensm_prove(desk, false, opensm_log_size(desk->options.log), BACK_MS, &proof, &back);
	desk->not_before_ms = loop_now_ms() + AFTER_REFUSAL_MS;
	const char *how = result < 0 ? "putting the one before back failed: "
			  : had_canary && proof != PROOF_READ
				  ? "the one before is back in its place, and not read yet: the fabric may be open"
				  : "the one before is back in its place";
	return error_set(err, ERROR_RETRY, "OpenSM refused the new %s%s; %s%s; no other is written for %d minutes",
			 desk->options.file, had_canary ? "" : ", or reads another one (-P)", how,
			 result == 0 ? "" : back.text, AFTER_REFUSAL_MS / 60000);
}

static int write_once(struct opensm_desk *desk, const struct opensm_change *changes, size_t n, struct buf *before,
		      struct buf *text, int64_t by_ms, struct error *err)
{
	struct opensm_canary canary;
	struct guid own;
	enum opensm_proof proof;

	if (loop_now_ms() < desk->not_before_ms)
		return error_set(err, ERROR_RETRY, "OpenSM refused the last new %s; no other is written for a while",
				 desk->options.file);
	if (opensm_own_port(desk, &own, err) < 0 || read_file(desk, before, err) < 0)
		return -1;
	bool had_canary = opensm_has_own_canary(desk, own);
	if (opensm_next_canary(desk, own, &canary, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		apply(desk, &changes[i]);
	if (compose(desk, &canary, before, text, err) < 0) {
		error_wrap(err, "%s", desk->options.file);
		return opensm_retry(err);
	}
	struct mad_sm_info reader = opensm_reader(desk);
	off_t log = opensm_log_size(desk->options.log); /* from then on it may be read */
	desk->told = false;
	if (partitions_file_write(desk->options.file, before, text, by_ms, err) < 0)
		return err->kind == ERROR_CONFLICT ? -1 : opensm_retry(err);
	desk->canary = canary;
	desk->counts.written++;
	if (opensm_prove(desk, had_canary, log, desk->options.prove_ms, &proof, err) < 0) {
		desk->counts.unproven++;
		err->kind = ERROR_RETRY; /* whatever it was: the file is there, and may be read at any time */
		return -1;
	}
	desk->counts.refused += proof == PROOF_REFUSED;
	if (proof == PROOF_REFUSED)
		return put_back(desk, had_canary, text, before, err);
	opensm_remember(desk, text, reader);
	return 0;
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
		return opensm_retry(err);
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
static int tell(struct opensm_desk *desk, const struct buf *text, struct error *err)
{
	enum opensm_proof proof;

	if (desk->told && opensm_remembers(desk, text))
		return 0;
	struct mad_sm_info reader = opensm_reader(desk);
	if (opensm_prove(desk, false, 0, 0, &proof, err) < 0)
		return opensm_retry(err);
	opensm_remember(desk, text, reader);
	return 0;
}

static int read_proven(struct opensm_desk *desk, struct guid own, const struct buf *text, struct error *err)
{
	bool known = loop_now_ms() < desk->not_before_ms || opensm_remembers(desk, text);

	if (known && opensm_has_own_canary(desk, own)) {
		int result = opensm_settle(desk, err);
		desk->proven = result == 0;
		return result;
	}
	/* Not what we have seen OpenSM read, or without a canary of our own port: it gets a new one.  A file that never was
	 * ours stays as it is. */
	return has_members(desk) || desk->canary.which != CANARY_NONE || desk->read.len > 0
		       ? opensm_desk_write(desk, NULL, 0, loop_now_ms() + desk->options.prove_ms, err)
		       : 0;
}

int opensm_desk_read(struct opensm_desk *desk, struct error *err)
{
	struct guid own = { 0 };
	struct buf text;

	buf_init(&text, PARTITIONS_TEXT_MAX);
	int result = desk->options.look_only ? 0 : opensm_own_port(desk, &own, err);
	if (result == 0)
		result = read_file(desk, &text, err);
	if (result == 0 && !desk->options.look_only)
		result = desk->options.verify ? read_proven(desk, own, &text, err) : tell(desk, &text, err);
	buf_free(&text);
	return result;
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
		return opensm_retry(err);
	return 0;
}
