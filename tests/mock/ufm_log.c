#include "tests/mock/ufm_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct ufm_log {
	struct ufm_log_entry entries[UFM_LOG_ENTRIES]; /* the entry `seq` at seq % UFM_LOG_ENTRIES */
	uint64_t first, next;                          /* seqs that are here: first <= seq < next */
	size_t bytes;
	struct ufm_stats stats;
};

static const char *const outcome_names[UFM_OUTCOMES] = { "open", "answered", "reset", "gone" };

struct ufm_log *ufm_log_new(void)
{
	struct ufm_log *log = mem_alloc(sizeof(*log));

	log->first = log->next = 1;
	return log;
}

static size_t entry_bytes(const struct ufm_log_entry *entry)
{
	return strlen(entry->path) + (entry->client ? strlen(entry->client) : 0) +
	       (entry->body ? strlen(entry->body) : 0);
}

static void drop_first(struct ufm_log *log)
{
	struct ufm_log_entry *entry = &log->entries[log->first++ % UFM_LOG_ENTRIES];

	log->bytes -= entry_bytes(entry);
	free(entry->client);
	free(entry->method);
	free(entry->path);
	free(entry->body);
	*entry = (struct ufm_log_entry){ 0 };
}

void ufm_log_clear(struct ufm_log *log)
{
	while (log->first < log->next)
		drop_first(log);
}

void ufm_log_clear_stats(struct ufm_log *log)
{
	log->stats = (struct ufm_stats){ 0 };
}

void ufm_log_free(struct ufm_log *log)
{
	if (!log)
		return;
	ufm_log_clear(log);
	free(log);
}

struct ufm_stats *ufm_log_stats(struct ufm_log *log)
{
	return &log->stats;
}

/* JSON strings must be UTF-8: whatever is not printable ASCII shows as '?'. */
static char *printable(const char *text, size_t len)
{
	char *copy = mem_dup_n(text, len);

	for (size_t i = 0; i < len; i++)
		if (copy[i] < ' ' || copy[i] > '~')
			copy[i] = copy[i] == '\n' || copy[i] == '\t' ? ' ' : '?';
	return copy;
}

uint64_t ufm_log_begin(struct ufm_log *log, const struct ufm_log_entry *entry)
{
	struct ufm_log_entry *kept;

	if (log->next - log->first == UFM_LOG_ENTRIES)
		drop_first(log);
	kept = &log->entries[log->next % UFM_LOG_ENTRIES];
	*kept = *entry;
	kept->seq = log->next++;
	if (entry->client)
		kept->client = printable(entry->client, strnlen(entry->client, UFM_LOG_CLIENT_MAX));
	kept->method = printable(entry->method, strnlen(entry->method, 32));
	kept->path = printable(entry->path, strnlen(entry->path, UFM_LOG_PATH_MAX));
	if (entry->body)
		kept->body = printable(entry->body,
				       entry->body_len < UFM_LOG_BODY_MAX ? entry->body_len : (size_t)UFM_LOG_BODY_MAX);
	log->bytes += entry_bytes(kept);
	while (log->bytes > UFM_LOG_BYTES_MAX)
		drop_first(log);
	return log->next - 1;
}

struct ufm_log_entry *ufm_log_find(struct ufm_log *log, uint64_t seq)
{
	return seq >= log->first && seq < log->next ? &log->entries[seq % UFM_LOG_ENTRIES] : NULL;
}

void ufm_log_end(struct ufm_log *log, uint64_t seq, enum ufm_outcome outcome, int status, int64_t now_ms)
{
	struct ufm_log_entry *entry = ufm_log_find(log, seq);

	if (!entry || entry->outcome != UFM_OUTCOME_OPEN)
		return;
	entry->outcome = outcome;
	entry->status = status;
	entry->duration_ms = now_ms - entry->started_ms;
}

static bool passes(const struct ufm_log_entry *entry, const struct ufm_log_filter *filter)
{
	return entry->seq > filter->after && (!filter->method || strcmp(filter->method, entry->method) == 0) &&
	       (!filter->path_prefix || strncmp(filter->path_prefix, entry->path, strlen(filter->path_prefix)) == 0) &&
	       (!filter->operation || strcmp(filter->operation, ufm_operation_name(entry->operation)) == 0) &&
	       (!filter->writes_only || ufm_operation_writes(entry->operation));
}

static void print_entry(const struct ufm_log_entry *entry, bool without_body, struct buf *json)
{
	buf_printf(json, "{\"seq\": %" PRIu64 ", \"time_ms\": %" PRId64 ", \"time_us\": %" PRId64 ", \"method\": ",
		   entry->seq, entry->wall_ms, entry->wall_us);
	buf_json_string(json, entry->method);
	buf_text(json, ", \"path\": ");
	buf_json_string(json, entry->path);
	buf_printf(json, ", \"operation\": \"%s\", \"guids\": %zu, \"auth\": \"%s\", \"admitted\": %s",
		   ufm_operation_name(entry->operation), entry->guids, ufm_auth_name(entry->auth),
		   entry->admitted ? "true" : "false");
	if (entry->client) {
		buf_text(json, ", \"client\": ");
		buf_json_string(json, entry->client);
	}
	if (entry->pkey < UFM_PKEY_COUNT)
		buf_printf(json, ", \"pkey\": \"0x%x\"", entry->pkey);
	if (entry->fault)
		buf_printf(json, ", \"fault\": \"%s\"", entry->fault);
	if (entry->status)
		buf_printf(json, ", \"status\": %d", entry->status);
	else
		buf_text(json, ", \"status\": null");
	buf_printf(json, ", \"outcome\": \"%s\", \"duration_ms\": %" PRId64 ", \"body_bytes\": %zu",
		   outcome_names[entry->outcome], entry->duration_ms, entry->body_len);
	if (entry->body && !without_body) {
		buf_text(json, ", \"body\": ");
		buf_json_string(json, entry->body);
	}
	buf_text(json, "}");
}

bool ufm_log_has(const struct ufm_log *log, const struct ufm_log_filter *filter)
{
	for (uint64_t seq = filter->after < log->first ? log->first : filter->after + 1; seq < log->next; seq++)
		if (passes(&log->entries[seq % UFM_LOG_ENTRIES], filter))
			return true;
	return false;
}

void ufm_log_print(const struct ufm_log *log, const struct ufm_log_filter *filter, struct buf *json)
{
	uint64_t printed = 0;

	buf_text(json, "[");
	for (uint64_t seq = log->first; seq < log->next; seq++) {
		const struct ufm_log_entry *entry = &log->entries[seq % UFM_LOG_ENTRIES];
		if (!passes(entry, filter))
			continue;
		if (filter->limit > 0 && printed == filter->limit)
			break;
		buf_text(json, printed++ ? ",\n" : "");
		print_entry(entry, filter->without_bodies, json);
	}
	buf_text(json, "]");
}

void ufm_log_print_stats(const struct ufm_log *log, struct buf *json)
{
	const struct ufm_stats *stats = &log->stats;

	buf_printf(json,
		   "{\"requests\": %" PRIu64 ", \"reads\": %" PRIu64 ", \"writes\": %" PRIu64 ", \"refused\": %" PRIu64
		   ", \"overlapping_writes\": %" PRIu64 ", \"max_overlap\": %" PRIu64 ", \"overlapping_hung\": %" PRIu64
		   ", \"unusable_guids\": %" PRIu64,
		   stats->requests, stats->reads, stats->writes, stats->refused, stats->overlapping_writes,
		   stats->overlap_most, stats->overlapping_hung, stats->unusable_guids);
	buf_printf(json,
		   ", \"guids_per_write\": {\"writes\": %" PRIu64 ", \"guids\": %" PRIu64 ", \"min\": %" PRIu64
		   ", \"max\": %" PRIu64 "}, \"operations\": {",
		   stats->guid_writes, stats->guids, stats->guids_least, stats->guids_most);
	for (int i = 0, any = 0; i < UFM_OPERATIONS; i++)
		if (stats->operations[i])
			buf_printf(json, "%s\"%s\": %" PRIu64, any++ ? ", " : "",
				   ufm_operation_name((enum ufm_operation)i), stats->operations[i]);
	buf_text(json, "}");
}
