#pragma once

#include "tests/sim/sim_rules.h"

/* What one process was told and what it has done so far: more than that it cannot know, and that much it must respect.
 * Private to the rules. */

/* Which interface of which pod. */
struct sim_owner {
	unsigned pod; /* its number + 1; 0: nobody */
	enum pod_source source;
	int index;
};

static inline bool sim_owner_is(struct sim_owner a, struct sim_owner b)
{
	return a.pod == b.pod && a.source == b.source && a.index == b.index;
}

/* A GUID in a PKey. */
struct sim_sighting {
	struct guid guid;
	struct pkey pkey;
	bool used;
	enum membership membership; /* as it was last shown */
	bool index0;
	/* When the latest list that showed it, or did not, began and ended; 0: none.  Lists overlap: it may have come or
	 * gone between the looks of two. */
	int64_t shown_by, shown_end, hidden_by, hidden_end;
	int64_t first_seen; /* when the first of an unbroken series of lists that showed it ended */
	unsigned times;     /* length of that series */
	bool needed;        /* an attachment of this process was to be there, since it was last hidden */
	bool maybe;         /* a join was sent that was not refused, and no later list denies it */
	struct sim_owner joined_for;
	int64_t join_answered_at, join_answered_before, leave_answered_at;
	/* An orphan that this process removed. */
	bool removed, came_back;
	bool named; /* by an operator, who has looked */
	int64_t removed_at;
};

/* Who holds a GUID, or held it last. */
struct sim_holding {
	struct guid guid;
	bool used;
	struct sim_owner owner;
	enum attachment_state state;
	struct pkey_class memberships[RECORD_MEMBERSHIPS_MAX];
	unsigned n_memberships;
	uint64_t looked; /* the look that saw it last */
	bool published;  /* it was once */
};

enum { SIM_LISTS_MAX = 64, SIM_PATCHES_MAX = 256, SIM_IDS_MAX = 65536 };

struct sim_mind {
	uint64_t incarnation;
	struct sim_sighting *sightings;
	size_t n_sightings, cap_sightings;
	struct sim_holding *holdings;
	size_t n_holdings, cap_holdings;
	uint64_t looks, free_guids; /* free_guids: at the last look */
	/* Requests under way. */
	struct {
		uint64_t id;
		bool all;
		struct pkey pkey;
	} lists[SIM_LISTS_MAX];
	unsigned n_lists;
	struct {
		uint64_t id;
		bool join;
		struct pkey pkey;
		struct guid *guids;
		size_t n;
	} write;
	struct {
		uint64_t id;
		unsigned pod;
	} patches[SIM_PATCHES_MAX];
	unsigned n_patches;
	uint8_t ids[SIM_IDS_MAX / 8];
	uint64_t last_id;
	/* The brake. */
	bool listed;          /* a complete list has ended */
	bool settled;         /* the Lease said so, or an operator */
	bool confirmed;       /* an operator has looked */
	bool orphan_at_first; /* the first complete list certainly showed an orphan */
	bool too_many;        /* so did a later one, many */
};

void sim_mind_begin(struct sim_mind *mind, uint64_t incarnation);
void sim_mind_end(struct sim_mind *mind);
struct sim_sighting *sim_mind_sighting(struct sim_mind *mind, struct guid guid, struct pkey pkey); /* made if need be */
const struct sim_sighting *sim_mind_seen(const struct sim_mind *mind, struct guid guid, struct pkey pkey);
struct sim_holding *sim_mind_holding(struct sim_mind *mind, struct guid guid);    /* made if need be */
struct sim_holding *sim_mind_held(const struct sim_mind *mind, struct guid guid); /* NULL: never */
/* True the first time. */
bool sim_mind_take_id(struct sim_mind *mind, uint64_t id);

/* `sure`: the latest list showed it, and began when all that did not had ended.  Else: no list denies it that began when
 * those that showed it had ended. */
bool sim_sighting_is_shown(const struct sim_sighting *sighting, bool sure);
