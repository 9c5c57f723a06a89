#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/mock/ufm_map.h"

/* What UFM knows about partitions, and what the fabric knows: UFM answers 200 when its own model has changed, the
 * subnet manager follows later or never.  Pure: no I/O, no clock.  Nothing here is shared with the client under test,
 * so that the two cannot agree on a mistake. */

enum {
	UFM_PKEY_MANAGEMENT = 0x7fff,
	UFM_PKEY_COUNT = 0x8000,
	UFM_NAME_MAX = 128,
	UFM_MEMBERS_MAX = 4000000, /* of all partitions; the caller refuses what would pass it */
};

enum ufm_view { UFM_VIEW_MODEL, UFM_VIEW_FABRIC, UFM_VIEWS };

struct ufm_member {
	uint64_t guid;
	bool limited;
	bool index0;
};

struct ufm_qos {
	unsigned mtu_limit; /* KB */
	unsigned service_level;
	unsigned rate_tenths; /* of Gb/s: 25 is UFM's default, printed 2.5 */
};
extern const struct ufm_qos ufm_qos_default;

struct ufm_partition {
	unsigned pkey;
	char *name;
	bool ip_over_ib;
	bool sharp;
	struct ufm_qos qos;
	struct ufm_member *members; /* in the order they came, but a removal moves the last one forward */
	size_t n_members, cap;
	struct ufm_map places; /* guid -> index in members; the model's partitions only */
};

struct ufm_model;

struct ufm_model *ufm_model_new(void); /* the management partition and nothing else */
void ufm_model_free(struct ufm_model *model);
void ufm_model_clear(struct ufm_model *model); /* as new, but revision goes on and the fabric follows as usual */

const struct ufm_partition *ufm_model_get(const struct ufm_model *model, enum ufm_view view, unsigned pkey);
/* Ascending; start with pkey 0.  NULL: no partition above it. */
const struct ufm_partition *ufm_model_next(const struct ufm_model *model, enum ufm_view view, unsigned after);
/* Fast in the model, a walk in the fabric. */
const struct ufm_member *ufm_partition_find(const struct ufm_partition *partition, uint64_t guid);
size_t ufm_model_members(const struct ufm_model *model, enum ufm_view view);

/* Pkey-wide settings that come with a write; what is absent stays, or is the default of a new partition. */
struct ufm_settings {
	const char *name;       /* NULL: absent */
	const bool *ip_over_ib; /* NULL: absent */
	const struct ufm_qos *qos;
};

/* All take 0x1-0x7ffe.  Partitions spring into being with the first write and vanish, with all their settings, with
 * the last member. */
bool ufm_model_create(struct ufm_model *model, unsigned pkey, const struct ufm_settings *settings); /* false: exists */
void ufm_model_add(struct ufm_model *model, unsigned pkey, const struct ufm_settings *settings,
		   const struct ufm_member *members, size_t n);
void ufm_model_set(struct ufm_model *model, unsigned pkey, const struct ufm_settings *settings,
		   const struct ufm_member *members, size_t n);
/* Not a member: nothing happens.  False: no such partition. */
bool ufm_model_remove(struct ufm_model *model, unsigned pkey, const uint64_t *guids, size_t n);
bool ufm_model_delete(struct ufm_model *model, unsigned pkey);
bool ufm_model_set_qos(struct ufm_model *model, unsigned pkey, const struct ufm_qos *qos);
bool ufm_model_set_sharp(struct ufm_model *model, unsigned pkey, bool sharp);

/* Grows with every accepted write, also one that changes nothing: UFM rewrites its file for those too. */
uint64_t ufm_model_revision(const struct ufm_model *model);

/* GUIDs that stand at index 0 in more than one partition.  UFM accepts that; the port cannot hold it. */
size_t ufm_model_index0_conflicts(const struct ufm_model *model);    /* at this moment */
uint64_t ufm_model_index0_violations(const struct ufm_model *model); /* times that one arose */
void ufm_model_forget_violations(struct ufm_model *model);

/* The fabric.  delay < 0: never (the subnet manager is wedged).  Call settle() after writes and when deadline() is
 * reached: changes start a sweep that ends `delay` later and takes over all that has changed by then. */
void ufm_model_settle(struct ufm_model *model, int64_t now_ms, int64_t delay_ms);
int64_t ufm_model_deadline(const struct ufm_model *model); /* INT64_MAX: none */
bool ufm_model_fabric_is_current(const struct ufm_model *model);
/* A broken partitions.conf: the fabric forgets every partition until the next sweep. */
void ufm_model_break_fabric(struct ufm_model *model);
