#include "tests/mock/ufm_faults.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { DELAY_MAX_MS = 3600000, TIMES_MAX = 1000000000 };

static const char *const action_names[UFM_ACTIONS] = {
	[UFM_ACTION_NONE] = "none",
	[UFM_ACTION_STATUS] = "status",
	[UFM_ACTION_HTML] = "html",
	[UFM_ACTION_UNAUTHORIZED] = "unauthorized",
	[UFM_ACTION_HANG] = "hang",
	[UFM_ACTION_RESET_BEFORE] = "reset_before",
	[UFM_ACTION_RESET_AFTER_APPLY] = "reset_after_apply",
	[UFM_ACTION_APPLY_LATE] = "apply_late",
	[UFM_ACTION_LATE_AFTER_TIMEOUT] = "late_after_timeout",
	[UFM_ACTION_FORGET] = "forget",
	[UFM_ACTION_CUT_JSON] = "cut_json",
	[UFM_ACTION_CUT_STREAM] = "cut_stream",
	[UFM_ACTION_SLOW_BODY] = "slow_body",
	[UFM_ACTION_WRONG_CONTENT_TYPE] = "wrong_content_type",
	[UFM_ACTION_LATENCY] = "latency",
};

const char *ufm_action_name(enum ufm_action action)
{
	return action_names[action];
}

void ufm_fault_free(struct ufm_fault *fault)
{
	if (!fault)
		return;
	free(fault->method);
	free(fault->path_prefix);
	free(fault->body);
	free(fault->content_type);
	free(fault->location);
	free(fault);
}

static void fault_freep(struct ufm_fault **fault)
{
	ufm_fault_free(*fault);
}

void ufm_faults_clear(struct ufm_faults *faults)
{
	while (faults->n > 0)
		ufm_fault_free(faults->rules[--faults->n]);
}

bool ufm_faults_remove(struct ufm_faults *faults, unsigned id)
{
	for (size_t i = 0; i < faults->n; i++) {
		if (faults->rules[i]->id != id)
			continue;
		ufm_fault_free(faults->rules[i]);
		memmove(&faults->rules[i], &faults->rules[i + 1], (--faults->n - i) * sizeof(faults->rules[0]));
		return true;
	}
	return false;
}

static int read_text(char **out, const json_t *value, const char *name, struct error *err)
{
	if (!json_is_string(value) || json_string_length(value) > UFM_FAULT_BODY_MAX)
		return error_set(err, ERROR_INVALID, "%s takes a string of at most 1 MiB", name);
	free(*out);
	*out = mem_dup(json_string_value(value));
	return 0;
}

static int read_number(uint64_t *out, const json_t *value, const char *name, int64_t most, struct error *err)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > most)
		return error_set(err, ERROR_INVALID, "%s takes a number from 0 to %" PRId64, name, most);
	*out = (uint64_t)json_integer_value(value);
	return 0;
}

/* A header's value: what would break out of its line is refused. */
static int read_header(char **out, const json_t *value, const char *name, struct error *err)
{
	if (read_text(out, value, name, err) < 0)
		return -1;
	if (strlen(*out) > 100 || strpbrk(*out, "\r\n"))
		return error_set(err, ERROR_INVALID, "%s takes one line of at most 100 bytes", name);
	return 0;
}

static int read_operation(struct ufm_fault *fault, const json_t *value, struct error *err)
{
	const char *name = json_string_value(value);

	fault->reads_only = name && strcmp(name, "read") == 0;
	fault->writes_only = name && strcmp(name, "write") == 0;
	if (fault->reads_only || fault->writes_only || (name && strcmp(name, "any") == 0))
		return 0;
	if (!name || !ufm_operation_parse(&fault->operation, name))
		return error_set(err, ERROR_INVALID, "match.operation: no such operation");
	return 0;
}

static int read_guid(struct ufm_fault *fault, const json_t *value, struct error *err)
{
	if (!json_is_string(value) ||
	    !ufm_guid_parse(&fault->guid, json_string_value(value), json_string_length(value)))
		return error_set(err, ERROR_INVALID, "match.guid is a string of 16 hexadecimal digits");
	fault->has_guid = true;
	return 0;
}

static int read_match(struct ufm_fault *fault, const json_t *match, struct error *err)
{
	const char *key;
	json_t *value;
	int result;

	if (!json_is_object(match))
		return error_set(err, ERROR_INVALID, "match takes an object");
	json_object_foreach((json_t *)match, key, value)
	{
		if (strcmp(key, "method") == 0)
			result = read_text(&fault->method, value, "match.method", err);
		else if (strcmp(key, "path_prefix") == 0)
			result = read_text(&fault->path_prefix, value, "match.path_prefix", err);
		else if (strcmp(key, "operation") == 0)
			result = read_operation(fault, value, err);
		else if (strcmp(key, "pkey") == 0 && json_is_string(value) &&
			 ufm_pkey_parse(&fault->pkey, json_string_value(value)))
			result = 0;
		else if (strcmp(key, "guid") == 0)
			result = read_guid(fault, value, err);
		else
			result = error_set(
				err, ERROR_INVALID,
				"match takes method, path_prefix, operation, pkey (\"0x5\") and guid, not %.64s", key);
		if (result < 0)
			return -1;
	}
	return 0;
}

static int read_action(struct ufm_fault *fault, const json_t *value, struct error *err)
{
	const char *name = json_string_value(value);

	for (int i = UFM_ACTION_NONE + 1; name && i < UFM_ACTIONS; i++) {
		if (strcmp(action_names[i], name) == 0) {
			fault->action = (enum ufm_action)i;
			return 0;
		}
	}
	return error_set(err, ERROR_INVALID, "there is no action %.64s", name ? name : "of that type");
}

static int read_member(struct ufm_fault *fault, const char *key, const json_t *value, struct error *err)
{
	uint64_t number = 0;
	int result = 0;

	if (strcmp(key, "match") == 0)
		return read_match(fault, value, err);
	if (strcmp(key, "action") == 0)
		return read_action(fault, value, err);
	if (strcmp(key, "body") == 0)
		return read_text(&fault->body, value, key, err);
	if (strcmp(key, "content_type") == 0)
		return read_header(&fault->content_type, value, key, err);
	if (strcmp(key, "location") == 0)
		return read_header(&fault->location, value, key, err);
	if (strcmp(key, "skip") == 0)
		return read_number(&fault->skip, value, key, TIMES_MAX, err);
	if (strcmp(key, "times") == 0)
		return read_number(&fault->times, value, key, TIMES_MAX, err);
	if (strcmp(key, "chunk_bytes") == 0) {
		result = read_number(&fault->chunk_bytes, value, key, 1 << 20, err);
		fault->chunk_bytes += fault->chunk_bytes == 0;
	} else if (strcmp(key, "delay_ms") == 0) {
		result = read_number(&number, value, key, DELAY_MAX_MS, err);
		fault->delay_ms = (int64_t)number;
	} else if (strcmp(key, "code") == 0) {
		result = read_number(&number, value, key, 599, err);
		if (result == 0 && number < 200)
			result = error_set(err, ERROR_INVALID, "code takes a status from 200 to 599");
		fault->code = (int)number;
	} else if (strcmp(key, "apply") == 0 && json_is_boolean(value)) {
		fault->apply = json_is_true(value);
	} else {
		result = error_set(err, ERROR_INVALID, "a rule has no %.64s of that type", key);
	}
	return result;
}

int ufm_faults_add(struct ufm_faults *faults, const json_t *rule, unsigned *id, struct error *err)
{
	__attribute__((cleanup(fault_freep))) struct ufm_fault *fault = mem_alloc(sizeof(*fault));
	const char *key;
	json_t *value;

	if (faults->n == UFM_FAULTS_MAX)
		return error_set(err, ERROR_LIMIT, "there are %d rules already", UFM_FAULTS_MAX);
	if (!json_is_object(rule))
		return error_set(err, ERROR_INVALID, "a rule is a JSON object");
	fault->pkey = UFM_PKEY_COUNT;
	fault->chunk_bytes = 16;
	fault->delay_ms = -1;
	json_object_foreach((json_t *)rule, key, value) if (read_member(fault, key, value, err) < 0) return -1;
	if (fault->action == UFM_ACTION_NONE)
		return error_set(err, ERROR_INVALID, "a rule needs an action");
	if (fault->delay_ms < 0)
		fault->delay_ms = fault->action == UFM_ACTION_SLOW_BODY ? 100 : 0;
	if (fault->code == 0)
		fault->code = fault->action == UFM_ACTION_HTML ? 503 : 500;
	fault->endless = fault->times == 0;
	fault->id = *id = ++faults->last_id;
	faults->rules[faults->n++] = fault;
	fault = NULL;
	return 0;
}

static bool names(const struct ufm_call *call, uint64_t guid)
{
	for (size_t i = 0; i < call->n_members; i++)
		if (call->members[i].guid == guid)
			return true;
	return false;
}

static bool matches(const struct ufm_fault *fault, const char *method, const char *path, const struct ufm_call *call)
{
	return (!fault->method || strcmp(fault->method, method) == 0) &&
	       (!fault->path_prefix || strncmp(fault->path_prefix, path, strlen(fault->path_prefix)) == 0) &&
	       (fault->pkey == UFM_PKEY_COUNT || fault->pkey == call->pkey) &&
	       (!fault->has_guid || names(call, fault->guid)) &&
	       (fault->operation == UFM_OP_NONE || fault->operation == call->operation) &&
	       (!fault->reads_only || (call->operation != UFM_OP_NONE && !ufm_operation_writes(call->operation))) &&
	       (!fault->writes_only || ufm_operation_writes(call->operation));
}

static struct ufm_fault *fault_copy(const struct ufm_fault *from)
{
	struct ufm_fault *to = mem_alloc(sizeof(*to));

	*to = *from;
	to->method = mem_dup(from->method);
	to->path_prefix = mem_dup(from->path_prefix);
	to->body = mem_dup(from->body);
	to->content_type = mem_dup(from->content_type);
	to->location = mem_dup(from->location);
	return to;
}

struct ufm_fault *ufm_faults_strike(struct ufm_faults *faults, const char *method, const char *path,
				    const struct ufm_call *call)
{
	for (size_t i = 0; i < faults->n; i++) {
		struct ufm_fault *fault = faults->rules[i];
		if ((!fault->endless && fault->times == 0) || !matches(fault, method, path, call))
			continue;
		if (fault->skip > 0) {
			fault->skip--;
			continue;
		}
		fault->hits++;
		fault->times -= !fault->endless;
		return fault_copy(fault);
	}
	return NULL;
}

void ufm_faults_print(const struct ufm_faults *faults, struct buf *json)
{
	buf_text(json, "[");
	for (size_t i = 0; i < faults->n; i++) {
		const struct ufm_fault *fault = faults->rules[i];
		buf_printf(json, "%s{\"id\": %u, \"action\": \"%s\", \"hits\": %" PRIu64, i ? ", " : "", fault->id,
			   action_names[fault->action], fault->hits);
		if (!fault->endless)
			buf_printf(json, ", \"left\": %" PRIu64, fault->times);
		buf_text(json, "}");
	}
	buf_text(json, "]");
}
