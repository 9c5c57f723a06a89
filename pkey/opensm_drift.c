#include "pkey/opensm_drift.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/net/loop.h"

enum {
	LOOKS_MAX = 512, /* a round, and a write waits for its end: */
	ROUND_MS = 300,
	SUSPECTS_MAX = 1024,
	/* Asking every node is for when the SA hides the others from us; libibnetdisc 44 loses 64 bytes a LID with each. */
	SCAN_MS = 60 * 60 * 1000,
	DEFAULT_PARTITION = 0x7fff,
	FULL_BIT = 0x8000,
};

/* A membership that its port lacks. */
struct suspect {
	struct pkey pkey;
	struct guid guid;
	int64_t since_ms;
	bool said;
};

struct place {
	struct guid guid;
	uint16_t lid;
};

struct opensm_drift {
	struct suspect suspects[SUSPECTS_MAX];
	size_t n_suspects;
	/* Where the next round goes on. */
	unsigned pkey;
	struct guid guid;
	/* Of the last scan; sorted. */
	struct place *places;
	size_t n_places, room;
	int64_t scanned_ms; /* 0: never */
	bool hidden;        /* our own port is no full member of the default partition */
	struct fabric_pkeys table;
};

enum look { LOOK_HAS, LOOK_LACKS, LOOK_ABSENT, LOOK_SILENT };

struct opensm_drift *opensm_drift_new(void)
{
	return mem_alloc(sizeof(struct opensm_drift));
}

void opensm_drift_free(struct opensm_drift *drift)
{
	if (!drift)
		return;
	free(drift->places);
	free(drift);
}

/* --- where a port is --- */

static void take_place(void *aux, struct guid port, uint16_t lid)
{
	struct opensm_drift *drift = aux;

	if (drift->n_places == drift->room) {
		drift->room = drift->room ? drift->room * 2 : 256;
		drift->places = mem_resize(drift->places, drift->room, sizeof *drift->places);
	}
	drift->places[drift->n_places++] = (struct place){ port, lid };
}

static int compare_places(const void *a, const void *b)
{
	uint64_t left = ((const struct place *)a)->guid.v, right = ((const struct place *)b)->guid.v;

	return left < right ? -1 : left > right;
}

static int scan(struct opensm_desk *desk, struct error *err)
{
	struct opensm_drift *drift = desk->drift;

	if (drift->scanned_ms && loop_now_ms() - drift->scanned_ms < SCAN_MS)
		return 0;
	drift->n_places = 0;
	int result = fabric_scan(desk->fabric, take_place, drift, err);
	drift->scanned_ms = loop_now_ms();
	if (drift->n_places)
		qsort(drift->places, drift->n_places, sizeof *drift->places, compare_places);
	return result;
}

static enum look find_port(struct opensm_desk *desk, struct guid guid, uint16_t *lid)
{
	struct opensm_drift *drift = desk->drift;
	struct place wanted = { .guid = guid };
	struct error err;

	if (fabric_find(desk->fabric, guid, lid, &err) == 0)
		return LOOK_HAS;
	if (err.kind != ERROR_GONE)
		return LOOK_SILENT;
	if (!drift->hidden)
		return LOOK_ABSENT;
	if (scan(desk, &err) < 0)
		return LOOK_SILENT;
	const struct place *place = drift->n_places ? bsearch(&wanted, drift->places, drift->n_places,
							      sizeof *drift->places, compare_places)
						    : NULL;
	if (!place)
		return LOOK_ABSENT;
	*lid = place->lid;
	return LOOK_HAS;
}

static bool has(const struct fabric_pkeys *table, struct pkey pkey, enum membership membership)
{
	uint16_t wanted = (uint16_t)(pkey.v | (membership == MEMBERSHIP_FULL ? FULL_BIT : 0));

	for (unsigned i = 0; i < table->n; i++)
		if (table->pkeys[i] == wanted)
			return true;
	return false;
}

/* What stands in the port itself; the SA's copy would show what OpenSM believes. */
static enum look look_at(struct opensm_desk *desk, struct pkey pkey, const struct member *member)
{
	struct fabric_pkeys *table = &desk->drift->table;
	struct error err;
	uint16_t lid = 0;
	enum look found = find_port(desk, member->guid, &lid);

	if (found != LOOK_HAS)
		return found;
	/* A virtual function may be shown at its adapter's LID, whose own table says nothing of it. */
	if (fabric_pkeys(desk->fabric, lid, table, &err) < 0 || table->node.port.v != member->guid.v)
		return LOOK_ABSENT;
	return has(table, pkey, member->membership) ? LOOK_HAS : LOOK_LACKS;
}

/* --- what is missing --- */

static struct suspect *find_suspect(struct opensm_drift *drift, struct pkey pkey, struct guid guid)
{
	for (size_t i = 0; i < drift->n_suspects; i++)
		if (drift->suspects[i].pkey.v == pkey.v && drift->suspects[i].guid.v == guid.v)
			return &drift->suspects[i];
	return NULL;
}

static void forget(struct opensm_desk *desk, struct suspect *suspect)
{
	desk->counts.drifted -= suspect->said;
	*suspect = desk->drift->suspects[--desk->drift->n_suspects];
}

static void say_missing(struct opensm_desk *desk, struct pkey key, const struct member *member)
{
	const struct fabric_pkeys *table = &desk->drift->table;
	char guid[GUID_TEXT_MAX], pkey[PKEY_TEXT_MAX];

	guid_format(guid, member->guid);
	pkey_format(pkey, key);
	if (table->n >= table->size)
		opensm_desk_find(desk, OPENSM_WARNING, "OPENSM_DRIFT",
				 "port %s lacks PKey %s: its table is full (%u keys); take it out of other partitions",
				 guid, pkey, table->size);
	else
		opensm_desk_find(
			desk, OPENSM_WARNING, "OPENSM_DRIFT",
			"port %s lacks PKey %s (%s), though OpenSM has read the file that says so: somebody else "
			"wrote the port's table, or another subnet manager with another file did; OpenSM repairs "
			"it when the port goes down and up (ibportstate reset), or when OpenSM is restarted",
			guid, pkey, membership_name(member->membership));
}

static void lacks(struct opensm_desk *desk, struct pkey pkey, const struct member *member)
{
	struct opensm_drift *drift = desk->drift;
	struct suspect *suspect = find_suspect(drift, pkey, member->guid);

	if (!suspect && drift->n_suspects == SUSPECTS_MAX)
		return;
	if (!suspect) { /* perhaps OpenSM has not come to that port yet */
		suspect = &drift->suspects[drift->n_suspects++];
		*suspect = (struct suspect){ .pkey = pkey, .guid = member->guid, .since_ms = loop_now_ms() };
	}
	if (suspect->said || loop_now_ms() - suspect->since_ms < desk->options.drift_ms)
		return;
	suspect->said = true;
	desk->counts.drifted++;
	say_missing(desk, pkey, member);
}

static void has_again(struct opensm_desk *desk, struct suspect *suspect)
{
	char guid[GUID_TEXT_MAX], pkey[PKEY_TEXT_MAX];

	if (suspect->said)
		opensm_desk_find(desk, OPENSM_FINE, "OPENSM_DRIFT_OVER", "port %s has PKey %s again",
				 guid_format(guid, suspect->guid), pkey_format(pkey, suspect->pkey));
	forget(desk, suspect);
}

/* False: nobody answers, and nothing more is asked in this round. */
static bool look_at_membership(struct opensm_desk *desk, struct pkey pkey, const struct member *member)
{
	enum look found = look_at(desk, pkey, member);
	struct suspect *suspect;

	switch (found) {
	case LOOK_SILENT:
		return false;
	case LOOK_LACKS:
		desk->counts.checked++;
		lacks(desk, pkey, member);
		return true;
	case LOOK_ABSENT:
		desk->counts.absent++;
		suspect = find_suspect(desk->drift, pkey, member->guid);
		if (suspect)
			forget(desk, suspect);
		return true;
	case LOOK_HAS:
		desk->counts.checked++;
		suspect = find_suspect(desk->drift, pkey, member->guid);
		if (suspect)
			has_again(desk, suspect);
		return true;
	}
	return false;
}

/* --- a round --- */

static bool look_at_suspects(struct opensm_desk *desk, int64_t end)
{
	struct opensm_drift *drift = desk->drift;

	/* From the last to the first: one that is forgotten makes room for the last. */
	for (size_t i = drift->n_suspects; i-- > 0 && loop_now_ms() < end;) {
		struct suspect *suspect = &drift->suspects[i];
		const struct members *members = desk->members[suspect->pkey.v];
		const struct member *member = members ? members_find(members, suspect->guid) : NULL;
		if (!member)
			forget(desk, suspect);
		else if (!look_at_membership(desk, suspect->pkey, member))
			return false;
	}
	return true;
}

/* The membership behind the last one; NULL when there is none up to the end. */
static const struct member *next_membership(struct opensm_desk *desk, struct pkey *pkey)
{
	struct opensm_drift *drift = desk->drift;

	for (; drift->pkey < PKEY_COUNT; drift->pkey++, drift->guid.v = 0) {
		const struct members *members = desk->members[drift->pkey];
		size_t at = members ? members_from(members, drift->guid) : 0;
		const struct member *member = members ? members_next(members, &at) : NULL;
		if (!member)
			continue;
		pkey->v = (uint16_t)drift->pkey;
		drift->guid.v = member->guid.v + 1;
		return member;
	}
	drift->pkey = 0;
	return NULL;
}

void opensm_drift_look(struct opensm_desk *desk)
{
	struct opensm_drift *drift = desk->drift;
	int64_t end = loop_now_ms() + ROUND_MS;
	const struct member *member;
	struct error err;
	struct pkey pkey;

	if (!desk->proven || !desk->options.verify || opensm_desk_fabric(desk, &err) < 0 ||
	    fabric_pkeys(desk->fabric, 0, &drift->table, &err) < 0)
		return;
	drift->hidden = !has(&drift->table, (struct pkey){ DEFAULT_PARTITION }, MEMBERSHIP_FULL);
	if (!look_at_suspects(desk, end))
		return;
	for (int i = 0; i < LOOKS_MAX && loop_now_ms() < end && !desk->stopping; i++) {
		member = next_membership(desk, &pkey);
		if (!member || !look_at_membership(desk, pkey, member))
			return;
	}
}
