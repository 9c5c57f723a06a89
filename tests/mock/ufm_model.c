#include "tests/mock/ufm_model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const struct ufm_qos ufm_qos_default = { .mtu_limit = 2, .service_level = 0, .rate_tenths = 25 };

struct view {
	struct ufm_partition *partitions[UFM_PKEY_COUNT];
	size_t n_members;
};

struct ufm_model {
	struct view views[UFM_VIEWS];
	bool dirty[UFM_PKEY_COUNT]; /* model and fabric may differ */
	size_t n_dirty;
	int64_t sweep_ms; /* when the running sweep ends; INT64_MAX: none runs */
	uint64_t revision;
	struct ufm_map index0; /* guid -> number of partitions of the model where it is at index 0 */
	size_t conflicts;
	uint64_t violations;
};

static void partition_free(struct ufm_partition *partition)
{
	if (!partition)
		return;
	free(partition->name);
	free(partition->members);
	ufm_map_free(&partition->places);
	free(partition);
}

static struct ufm_partition *partition_new(unsigned pkey)
{
	struct ufm_partition *partition = mem_alloc(sizeof(*partition));

	partition->pkey = pkey;
	partition->name = pkey == UFM_PKEY_MANAGEMENT ? mem_dup("management") : mem_printf("api_pkey_0x%x", pkey);
	partition->ip_over_ib = true;
	partition->qos = ufm_qos_default;
	return partition;
}

static struct ufm_partition *partition_copy(const struct ufm_partition *from)
{
	struct ufm_partition *to = mem_alloc(sizeof(*to));

	*to = *from;
	to->name = mem_dup(from->name);
	to->cap = from->n_members;
	to->members = NULL;
	if (from->n_members > 0) {
		to->members = mem_array(from->n_members, sizeof(*to->members));
		memcpy(to->members, from->members, from->n_members * sizeof(*to->members));
	}
	to->places = (struct ufm_map){ 0 }; /* the fabric's copy is only ever listed: half the cost of a sweep saved */
	return to;
}

static void view_place(struct view *view, unsigned pkey, struct ufm_partition *partition)
{
	struct ufm_partition *old = view->partitions[pkey];

	view->n_members -= old ? old->n_members : 0;
	view->n_members += partition ? partition->n_members : 0;
	view->partitions[pkey] = partition;
	partition_free(old);
}

static struct view *model_view(struct ufm_model *model)
{
	return &model->views[UFM_VIEW_MODEL];
}

struct ufm_model *ufm_model_new(void)
{
	struct ufm_model *model = mem_alloc(sizeof(*model));

	model->sweep_ms = INT64_MAX;
	for (int view = 0; view < UFM_VIEWS; view++)
		view_place(&model->views[view], UFM_PKEY_MANAGEMENT, partition_new(UFM_PKEY_MANAGEMENT));
	return model;
}

void ufm_model_free(struct ufm_model *model)
{
	if (!model)
		return;
	for (int view = 0; view < UFM_VIEWS; view++)
		for (unsigned pkey = 0; pkey < UFM_PKEY_COUNT; pkey++)
			partition_free(model->views[view].partitions[pkey]);
	ufm_map_free(&model->index0);
	free(model);
}

const struct ufm_partition *ufm_model_get(const struct ufm_model *model, enum ufm_view view, unsigned pkey)
{
	return pkey < UFM_PKEY_COUNT ? model->views[view].partitions[pkey] : NULL;
}

const struct ufm_partition *ufm_model_next(const struct ufm_model *model, enum ufm_view view, unsigned after)
{
	for (unsigned pkey = after + 1; pkey < UFM_PKEY_COUNT; pkey++)
		if (model->views[view].partitions[pkey])
			return model->views[view].partitions[pkey];
	return NULL;
}

const struct ufm_member *ufm_partition_find(const struct ufm_partition *partition, uint64_t guid)
{
	uint32_t place;

	if (partition->places.count == partition->n_members)
		return ufm_map_get(&partition->places, guid, &place) ? &partition->members[place] : NULL;
	for (size_t i = 0; i < partition->n_members; i++)
		if (partition->members[i].guid == guid)
			return &partition->members[i];
	return NULL;
}

size_t ufm_model_members(const struct ufm_model *model, enum ufm_view view)
{
	return model->views[view].n_members;
}

static void count_index0(struct ufm_model *model, uint64_t guid, bool gained)
{
	uint32_t count = 0;

	ufm_map_get(&model->index0, guid, &count);
	if (gained) {
		if (++count == 2)
			model->conflicts++;
		if (count >= 2)
			model->violations++;
	} else {
		assert(count > 0);
		if (--count == 1)
			model->conflicts--;
	}
	if (count > 0)
		ufm_map_put(&model->index0, guid, count);
	else
		ufm_map_remove(&model->index0, guid);
}

static void member_put(struct ufm_model *model, struct ufm_partition *partition, const struct ufm_member *member)
{
	uint32_t place;

	if (ufm_map_get(&partition->places, member->guid, &place)) {
		struct ufm_member *known = &partition->members[place];
		if (known->index0 != member->index0)
			count_index0(model, member->guid, member->index0);
		*known = *member;
		return;
	}
	if (partition->n_members == partition->cap) {
		partition->cap = partition->cap ? partition->cap * 2 : 8;
		partition->members = mem_resize(partition->members, partition->cap, sizeof(*partition->members));
	}
	ufm_map_put(&partition->places, member->guid, (uint32_t)partition->n_members);
	partition->members[partition->n_members++] = *member;
	model_view(model)->n_members++;
	if (member->index0)
		count_index0(model, member->guid, true);
}

static void member_remove(struct ufm_model *model, struct ufm_partition *partition, uint64_t guid)
{
	uint32_t place;

	if (!ufm_map_get(&partition->places, guid, &place))
		return;
	if (partition->members[place].index0)
		count_index0(model, guid, false);
	ufm_map_remove(&partition->places, guid);
	if (place != --partition->n_members) {
		partition->members[place] = partition->members[partition->n_members];
		ufm_map_put(&partition->places, partition->members[place].guid, place);
	}
	model_view(model)->n_members--;
}

static void touched(struct ufm_model *model, unsigned pkey)
{
	model->revision++;
	if (!model->dirty[pkey]) {
		model->dirty[pkey] = true;
		model->n_dirty++;
	}
}

static struct ufm_partition *find_for_write(struct ufm_model *model, unsigned pkey)
{
	assert(pkey > 0 && pkey < UFM_PKEY_MANAGEMENT);
	return model_view(model)->partitions[pkey];
}

static struct ufm_partition *find_or_create(struct ufm_model *model, unsigned pkey, const struct ufm_settings *settings)
{
	struct ufm_partition *partition = find_for_write(model, pkey);

	if (!partition) {
		partition = partition_new(pkey);
		view_place(model_view(model), pkey, partition);
	}
	if (settings->name) {
		free(partition->name);
		partition->name = mem_dup(settings->name);
	}
	if (settings->ip_over_ib)
		partition->ip_over_ib = *settings->ip_over_ib;
	if (settings->qos)
		partition->qos = *settings->qos;
	touched(model, pkey);
	return partition;
}

bool ufm_model_create(struct ufm_model *model, unsigned pkey, const struct ufm_settings *settings)
{
	if (find_for_write(model, pkey))
		return false;
	find_or_create(model, pkey, settings);
	return true;
}

void ufm_model_add(struct ufm_model *model, unsigned pkey, const struct ufm_settings *settings,
		   const struct ufm_member *members, size_t n)
{
	struct ufm_partition *partition = find_or_create(model, pkey, settings);

	for (size_t i = 0; i < n; i++)
		member_put(model, partition, &members[i]);
}

void ufm_model_set(struct ufm_model *model, unsigned pkey, const struct ufm_settings *settings,
		   const struct ufm_member *members, size_t n)
{
	struct ufm_partition *partition = find_or_create(model, pkey, settings);
	struct ufm_map wanted = { 0 };
	uint32_t ignored;

	for (size_t i = 0; i < n; i++)
		ufm_map_put(&wanted, members[i].guid, 0);
	for (size_t i = partition->n_members; i > 0; i--)
		if (!ufm_map_get(&wanted, partition->members[i - 1].guid, &ignored))
			member_remove(model, partition, partition->members[i - 1].guid);
	for (size_t i = 0; i < n; i++)
		member_put(model, partition, &members[i]);
	ufm_map_free(&wanted);
}

bool ufm_model_remove(struct ufm_model *model, unsigned pkey, const uint64_t *guids, size_t n)
{
	struct ufm_partition *partition = find_for_write(model, pkey);

	if (!partition)
		return false;
	for (size_t i = 0; i < n; i++)
		member_remove(model, partition, guids[i]);
	touched(model, pkey);
	if (partition->n_members == 0)
		view_place(model_view(model), pkey, NULL);
	return true;
}

bool ufm_model_delete(struct ufm_model *model, unsigned pkey)
{
	struct ufm_partition *partition = find_for_write(model, pkey);

	if (!partition)
		return false;
	while (partition->n_members > 0)
		member_remove(model, partition, partition->members[partition->n_members - 1].guid);
	view_place(model_view(model), pkey, NULL);
	touched(model, pkey);
	return true;
}

void ufm_model_clear(struct ufm_model *model)
{
	for (unsigned pkey = 1; pkey < UFM_PKEY_MANAGEMENT; pkey++)
		ufm_model_delete(model, pkey);
	model->revision++;
}

bool ufm_model_set_qos(struct ufm_model *model, unsigned pkey, const struct ufm_qos *qos)
{
	struct ufm_partition *partition = find_for_write(model, pkey);

	if (!partition)
		return false;
	partition->qos = *qos;
	touched(model, pkey);
	return true;
}

bool ufm_model_set_sharp(struct ufm_model *model, unsigned pkey, bool sharp)
{
	struct ufm_partition *partition = find_for_write(model, pkey);

	if (!partition)
		return false;
	partition->sharp = sharp;
	touched(model, pkey);
	return true;
}

uint64_t ufm_model_revision(const struct ufm_model *model)
{
	return model->revision;
}

size_t ufm_model_index0_conflicts(const struct ufm_model *model)
{
	return model->conflicts;
}

uint64_t ufm_model_index0_violations(const struct ufm_model *model)
{
	return model->violations;
}

void ufm_model_forget_violations(struct ufm_model *model)
{
	model->violations = 0;
}

static void sweep(struct ufm_model *model)
{
	for (unsigned pkey = 0; model->n_dirty > 0; pkey++) {
		const struct ufm_partition *from = model_view(model)->partitions[pkey];
		if (!model->dirty[pkey])
			continue;
		view_place(&model->views[UFM_VIEW_FABRIC], pkey, from ? partition_copy(from) : NULL);
		model->dirty[pkey] = false;
		model->n_dirty--;
	}
	model->sweep_ms = INT64_MAX;
}

void ufm_model_settle(struct ufm_model *model, int64_t now_ms, int64_t delay_ms)
{
	if (model->n_dirty == 0 || delay_ms < 0) {
		model->sweep_ms = INT64_MAX;
		return;
	}
	if (model->sweep_ms == INT64_MAX)
		model->sweep_ms = now_ms + delay_ms;
	if (model->sweep_ms <= now_ms)
		sweep(model);
}

int64_t ufm_model_deadline(const struct ufm_model *model)
{
	return model->sweep_ms;
}

bool ufm_model_fabric_is_current(const struct ufm_model *model)
{
	return model->n_dirty == 0;
}

void ufm_model_break_fabric(struct ufm_model *model)
{
	for (unsigned pkey = 1; pkey < UFM_PKEY_MANAGEMENT; pkey++) {
		if (model->views[UFM_VIEW_FABRIC].partitions[pkey]) {
			view_place(&model->views[UFM_VIEW_FABRIC], pkey, NULL);
			model->n_dirty += !model->dirty[pkey];
			model->dirty[pkey] = true;
		}
	}
}
