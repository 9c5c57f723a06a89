#include "tests/mock/ufm_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/mock/ufm_answer.h"
#include "tests/mock/ufm_call.h"

static int by_guid(const void *left, const void *right)
{
	uint64_t a = ((const struct ufm_member *)left)->guid, b = ((const struct ufm_member *)right)->guid;

	return (a > b) - (a < b);
}

static void print_members(const struct ufm_partition *partition, struct buf *json)
{
	struct ufm_member *sorted = mem_array(partition->n_members + 1, sizeof(*sorted));

	if (partition->n_members > 0)
		memcpy(sorted, partition->members, partition->n_members * sizeof(*sorted));
	qsort(sorted, partition->n_members, sizeof(*sorted), by_guid);
	buf_text(json, ", \"members\": [");
	for (size_t i = 0; i < partition->n_members; i++) {
		buf_text(json, i ? ", " : "");
		ufm_answer_member(&sorted[i], json);
	}
	buf_text(json, "]");
	free(sorted);
}

void ufm_state_print(const struct ufm_model *model, enum ufm_view view, unsigned pkey, bool members, struct buf *json)
{
	const struct ufm_partition *partition = NULL;
	bool any = false;

	buf_text(json, "[");
	while ((partition = ufm_model_next(model, view, partition ? partition->pkey : 0))) {
		if (pkey != 0 && partition->pkey != pkey)
			continue;
		buf_printf(json, "%s{\"pkey\": \"0x%x\", \"partition\": ", any ? ",\n" : "", partition->pkey);
		buf_json_string(json, partition->name);
		buf_printf(
			json,
			", \"ip_over_ib\": %s, \"sharp\": %s, \"qos_conf\": {\"mtu_limit\": %u, \"service_level\": %u, "
			"\"rate_limit\": %u.%u}, \"n_members\": %zu",
			partition->ip_over_ib ? "true" : "false", partition->sharp ? "true" : "false",
			partition->qos.mtu_limit, partition->qos.service_level, partition->qos.rate_tenths / 10,
			partition->qos.rate_tenths % 10, partition->n_members);
		if (members)
			print_members(partition, json);
		buf_text(json, "}");
		any = true;
	}
	buf_text(json, "]");
}

static int read_guid(uint64_t *guid, const json_t *value, struct error *err)
{
	if (!json_is_string(value) || !ufm_guid_parse(guid, json_string_value(value), json_string_length(value)))
		return error_set(err, ERROR_INVALID, "a GUID is a string of 16 hexadecimal digits");
	return 0;
}

static int read_flags(struct ufm_member *member, const json_t *value, struct error *err)
{
	const json_t *membership = json_object_get(value, "membership"), *index0 = json_object_get(value, "index0");
	const char *text = json_string_value(membership);

	if (membership && (!text || (strcmp(text, "full") != 0 && strcmp(text, "limited") != 0)))
		return error_set(err, ERROR_INVALID, "membership is full or limited");
	if (index0 && !json_is_boolean(index0))
		return error_set(err, ERROR_INVALID, "index0 is true or false");
	member->limited = text && strcmp(text, "limited") == 0;
	member->index0 = json_is_true(index0);
	return 0;
}

static int read_range(struct ufm_guid_list *list, const json_t *value, const struct ufm_member *pattern,
		      struct error *err)
{
	const json_t *count = json_object_get(value, "count");
	uint64_t first;

	if (read_guid(&first, json_object_get(value, "first"), err) < 0)
		return -1;
	if (!json_is_integer(count) || json_integer_value(count) < 1 || json_integer_value(count) > UFM_MEMBERS_MAX)
		return error_set(err, ERROR_INVALID, "count is a number from 1 to %d", UFM_MEMBERS_MAX);
	list->n = (size_t)json_integer_value(count);
	list->members = mem_array(list->n, sizeof(*list->members));
	for (size_t i = 0; i < list->n; i++) {
		list->members[i] = *pattern;
		list->members[i].guid = first + i;
	}
	return 0;
}

static int read_array(struct ufm_guid_list *list, const json_t *guids, const struct ufm_member *pattern,
		      struct error *err)
{
	json_t *each;
	size_t i;

	list->members = mem_array(json_array_size(guids) + 1, sizeof(*list->members));
	json_array_foreach(guids, i, each)
	{
		struct ufm_member *member = &list->members[list->n++];
		*member = *pattern;
		if (json_is_object(each) && read_flags(member, each, err) < 0)
			return -1;
		if (read_guid(&member->guid, json_is_object(each) ? json_object_get(each, "guid") : each, err) < 0)
			return -1;
	}
	return 0;
}

int ufm_state_read_members(struct ufm_guid_list *list, const json_t *value, struct error *err)
{
	struct ufm_member pattern = { 0 };
	int result;

	*list = (struct ufm_guid_list){ 0 };
	if (read_flags(&pattern, value, err) < 0)
		return -1;
	if (json_is_array(json_object_get(value, "guids"))) {
		result = read_array(list, json_object_get(value, "guids"), &pattern, err);
	} else if (json_object_get(value, "first")) {
		result = read_range(list, value, &pattern, err);
	} else {
		list->members = mem_array(1, sizeof(*list->members));
		list->members[list->n++] = pattern;
		result = read_guid(&list->members[0].guid, json_object_get(value, "guid"), err);
	}
	if (result < 0) {
		free(list->members);
		*list = (struct ufm_guid_list){ 0 };
	}
	return result;
}

struct seed {
	unsigned pkey;
	const char *name;
	bool has_ip_over_ib, ip_over_ib;
	struct ufm_guid_list list;
};

static int read_seed(struct seed *seed, const json_t *value, struct error *err)
{
	const char *pkey = json_string_value(json_object_get(value, "pkey"));
	const json_t *ip_over_ib = json_object_get(value, "ip_over_ib"), *members = json_object_get(value, "members");
	struct ufm_member pattern = { 0 };

	if (!pkey || !ufm_pkey_parse(&seed->pkey, pkey) || seed->pkey == 0)
		return error_set(err, ERROR_INVALID, "a partition's pkey is a string from 0x1 to 0x7fff");
	if ((ip_over_ib && !json_is_boolean(ip_over_ib)) || (members && !json_is_array(members)))
		return error_set(err, ERROR_INVALID, "ip_over_ib is a boolean, members a list");
	seed->name = json_string_value(json_object_get(value, "partition"));
	if (seed->name && strlen(seed->name) >= UFM_NAME_MAX)
		return error_set(err, ERROR_INVALID, "a partition's name has at most %d bytes", UFM_NAME_MAX - 1);
	seed->has_ip_over_ib = ip_over_ib != NULL;
	seed->ip_over_ib = json_is_true(ip_over_ib);
	return read_array(&seed->list, members, &pattern, err);
}

int ufm_state_load(struct ufm_model *model, const json_t *state, struct error *err)
{
	const json_t *partitions = json_object_get(state, "partitions");
	size_t n = json_array_size(partitions), total = ufm_model_members(model, UFM_VIEW_MODEL);
	struct seed *seeds;
	int result = 0;

	if (!json_is_array(partitions))
		return error_set(err, ERROR_INVALID, "the state is {\"partitions\": [...]}");
	seeds = mem_array(n + 1, sizeof(*seeds));
	for (size_t i = 0; result == 0 && i < n; i++) {
		result = read_seed(&seeds[i], json_array_get(partitions, i), err);
		total += seeds[i].list.n;
	}
	if (result == 0 && total > UFM_MEMBERS_MAX)
		result = error_set(err, ERROR_LIMIT, "more than %d members", UFM_MEMBERS_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct seed *seed = &seeds[i];
		struct ufm_settings settings = { .name = seed->name,
						 .ip_over_ib = seed->has_ip_over_ib ? &seed->ip_over_ib : NULL };
		if (result == 0 && seed->pkey != UFM_PKEY_MANAGEMENT)
			ufm_model_add(model, seed->pkey, &settings, seed->list.members, seed->list.n);
		free(seed->list.members);
	}
	free(seeds);
	return result;
}
