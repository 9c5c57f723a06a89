#include "tests/mock/kube_watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/mock/kube_selector.h"

enum { LINE_MAX = 8 << 20, DEFAULT_TIMEOUT_MS = 3600 * 1000, BEFORE_END_MS = 2000, FULL_RETRY_MS = 5 };

struct mkube_watch {
	struct mkube_watches *watches;
	struct mkube_watch *next, **link;
	struct mkube_sink sink;
	enum mkube_kind kind;
	char namespace[MKUBE_NAME_MAX];
	struct mkube_selector selector;
	char *selector_text;
	bool bookmarks, mark_initial_end;
	uint64_t from;                  /* resource version it began at */
	uint64_t cursor;                /* number of the next event */
	struct mkube_version **initial; /* still to be sent as ADDED */
	size_t n_initial, sent_initial;
	bool initial_done; /* also the mark of its end */
	bool full;
	int64_t end_ms, bookmark_ms; /* when; bookmark_ms 0: not any more */
};

struct mkube_watches {
	struct mkube_api *api;
	struct mkube_watch *first;
	struct buf line;
	int64_t bookmark_every_ms;
	uint64_t sent;
};

struct mkube_watches *mkube_watches_new(struct mkube_api *api, int64_t bookmark_ms)
{
	struct mkube_watches *watches = mem_alloc(sizeof *watches);

	watches->api = api;
	watches->bookmark_every_ms = bookmark_ms;
	buf_init(&watches->line, LINE_MAX);
	return watches;
}

static void forget_initial(struct mkube_watch *watch)
{
	for (size_t i = watch->sent_initial; i < watch->n_initial; i++)
		mkube_version_unref(watch->initial[i]);
	free(watch->initial);
	watch->initial = NULL;
	watch->n_initial = watch->sent_initial = 0;
}

void mkube_watch_close(struct mkube_watch *watch)
{
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	forget_initial(watch);
	mkube_selector_free(&watch->selector);
	free(watch->selector_text);
	free(watch);
}

void mkube_watches_free(struct mkube_watches *watches)
{
	if (!watches)
		return;
	while (watches->first)
		mkube_watch_close(watches->first);
	buf_free(&watches->line);
	free(watches);
}

static void end(struct mkube_watch *watch, bool clean)
{
	struct mkube_sink sink = watch->sink;

	mkube_watch_close(watch);
	sink.end(sink.aux, clean);
}

/* What is in the line buffer. */
static bool send_line(struct mkube_watch *watch)
{
	struct mkube_watches *watches = watch->watches;

	watch->full = !watch->sink.write(watch->sink.aux, watches->line.data, watches->line.len);
	if (!watch->full)
		watches->sent++;
	return !watch->full;
}

static bool send_event(struct mkube_watch *watch, const char *type, const struct mkube_version *version)
{
	struct buf *line = &watch->watches->line;

	buf_clear(line);
	buf_printf(line, "{\"type\":\"%s\",\"object\":", type);
	buf_append(line, version->text, version->len);
	buf_text(line, "}\n");
	return send_line(watch);
}

static bool send_bookmark(struct mkube_watch *watch, uint64_t rv, bool initial_end)
{
	const struct mkube_resource *resource = &mkube_resources[watch->kind];
	struct buf *line = &watch->watches->line;

	buf_clear(line);
	buf_printf(line,
		   "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s%s%s\",\"metadata\":{"
		   "\"resourceVersion\":\"%" PRIu64 "\"",
		   resource->kind, resource->group, *resource->group ? "/" : "", resource->version, rv);
	if (!watch->watches->api->newer)
		buf_text(line, ",\"creationTimestamp\":null");
	if (initial_end)
		buf_text(line, ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}");
	buf_text(line, "}}}\n");
	return send_line(watch);
}

static void send_gone(struct mkube_watch *watch, uint64_t rv)
{
	struct buf *line = &watch->watches->line;

	buf_clear(line);
	buf_printf(
		line,
		"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
		"\"Failure\",\"message\":\"too old resource version: %" PRIu64 " (%" PRIu64
		")\",\"reason\":\"Expired\",\"code\":410}}\n",
		rv, mkube_history_floor(watch->watches->api->store, watch->kind) + 1);
	send_line(watch);
}

static bool wanted(const struct mkube_watch *watch, const struct mkube_version *version)
{
	return version &&
	       (!*watch->namespace ||
		strcmp(mkube_version_field(version, MKUBE_FIELD_NAMESPACE), watch->namespace) == 0) &&
	       mkube_selector_match(&watch->selector, version);
}

static bool pump_initial(struct mkube_watch *watch)
{
	for (; watch->sent_initial < watch->n_initial; watch->sent_initial++) {
		struct mkube_version *version = watch->initial[watch->sent_initial];

		if (wanted(watch, version) && !send_event(watch, "ADDED", version))
			return false;
		mkube_version_unref(version);
	}
	if (watch->mark_initial_end && !send_bookmark(watch, watch->from, true))
		return false;
	forget_initial(watch);
	watch->initial_done = true;
	return true;
}

static bool pump_event(struct mkube_watch *watch, struct mkube_event *event)
{
	bool before = wanted(watch, event->before), now = wanted(watch, event->now);

	if (event->rv <= watch->from) /* it began at a resource version that was not reached yet */
		return true;
	if (now)
		return send_event(watch, before ? "MODIFIED" : "ADDED", event->now);
	return !before || send_event(watch, "DELETED", mkube_event_left(event));
}

/* May end the watch. */
static void pump(struct mkube_watch *watch)
{
	struct mkube_store *store = watch->watches->api->store;

	if (!watch->initial_done && !pump_initial(watch))
		return;
	if (watch->cursor < mkube_history_first(store, watch->kind)) {
		end(watch, true); /* too slow: the history has gone on without it */
		return;
	}
	while (watch->cursor < mkube_history_next(store, watch->kind)) {
		if (!pump_event(watch, mkube_history_at(store, watch->kind, watch->cursor)))
			return;
		watch->cursor++;
	}
}

void mkube_watches_pump(struct mkube_watches *watches, enum mkube_kind kind)
{
	for (struct mkube_watch *watch = watches->first, *next; watch; watch = next) {
		next = watch->next;
		if (watch->kind == kind)
			pump(watch);
	}
}

/* The resource version that a bookmark would show now. */
static uint64_t bookmark_rv(const struct mkube_watch *watch)
{
	struct mkube_api *api = watch->watches->api;

	return api->newer ? mkube_store_rv(api->store) : mkube_history_rv(api->store, watch->kind);
}

static bool caught_up(const struct mkube_watch *watch)
{
	return watch->initial_done && watch->cursor == mkube_history_next(watch->watches->api->store, watch->kind);
}

static int64_t tick_watch(struct mkube_watch *watch, int64_t now_ms)
{
	if (watch->bookmark_ms > 0 && now_ms >= watch->bookmark_ms) {
		bool last = watch->bookmark_ms >= watch->end_ms - BEFORE_END_MS;

		if (caught_up(watch) && bookmark_rv(watch) > watch->from)
			send_bookmark(watch, bookmark_rv(watch), false);
		watch->bookmark_ms = last ? 0 : now_ms + watch->watches->bookmark_every_ms;
		if (!last && watch->bookmark_ms > watch->end_ms - BEFORE_END_MS)
			watch->bookmark_ms = watch->end_ms - BEFORE_END_MS;
	}
	int64_t next = watch->end_ms;
	if (watch->bookmark_ms > 0 && watch->bookmark_ms < next)
		next = watch->bookmark_ms;
	return watch->full && now_ms + FULL_RETRY_MS < next ? now_ms + FULL_RETRY_MS : next;
}

int64_t mkube_watches_tick(struct mkube_watches *watches, int64_t now_ms)
{
	int64_t earliest = INT64_MAX;

	for (struct mkube_watch *watch = watches->first, *next; watch; watch = next) {
		next = watch->next;
		if (now_ms >= watch->end_ms) {
			end(watch, true);
			continue;
		}
		int64_t due = tick_watch(watch, now_ms);
		if (due < earliest)
			earliest = due;
		if (watch->full)
			pump(watch);
	}
	return earliest;
}

static bool fail_watch_list(struct mkube_reply *reply, const char *why)
{
	json_t *details =
		json_pack("{s:s, s:s, s:[{s:s, s:s, s:s}]}", "group", "meta.k8s.io", "kind", "ListOptions", "causes",
			  "reason", "FieldValueForbidden", "message", why, "field", "resourceVersionMatch");

	return mkube_fail(reply, 422, "Invalid", details,
			  "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: %s", why);
}

static bool check_watch_list(const struct mkube_api *api, const struct mkube_request *request, bool *initial,
			     struct mkube_reply *reply)
{
	const char *match = mkube_query(request, "resourceVersionMatch");
	const char *send = mkube_query(request, "sendInitialEvents");

	*initial = send && (strcmp(send, "true") == 0 || strcmp(send, "1") == 0);
	if (!api->newer && match)
		return fail_watch_list(reply, "resourceVersionMatch is forbidden for watch");
	if (api->newer && (send != NULL) != (match != NULL))
		return fail_watch_list(reply,
				       "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
	if (!api->newer)
		*initial = false;
	return true;
}

static void take_initial(struct mkube_watch *watch)
{
	size_t n;
	struct mkube_version *const *all = mkube_store_all(watch->watches->api->store, watch->kind, &n);

	watch->initial = mem_array(n, sizeof(struct mkube_version *));
	for (size_t i = 0; i < n; i++)
		watch->initial[i] = mkube_version_ref(all[i]);
	watch->n_initial = n;
}

static bool parse(struct mkube_watch *watch, const struct mkube_request *request, uint64_t *rv, bool *initial,
		  struct mkube_reply *reply)
{
	const char *fields = mkube_query(request, "fieldSelector"), *labels = mkube_query(request, "labelSelector");
	const char *bookmarks = mkube_query(request, "allowWatchBookmarks");
	struct error err;
	bool given;

	if (!check_watch_list(watch->watches->api, request, initial, reply) ||
	    !mkube_query_rv(request, rv, &given, reply))
		return false;
	if (mkube_selector_parse(&watch->selector, &mkube_resources[watch->kind], fields, labels, &err) < 0)
		return mkube_fail_bad_request(reply, err.text);
	watch->selector_text = mem_printf("%s;%s", fields ? fields : "", labels ? labels : "");
	watch->bookmarks = bookmarks && (strcmp(bookmarks, "true") == 0 || strcmp(bookmarks, "1") == 0);
	watch->mark_initial_end = *initial && watch->bookmarks;
	return true;
}

static void set_times(struct mkube_watch *watch, const struct mkube_request *request, int64_t now_ms)
{
	const char *timeout = mkube_query(request, "timeoutSeconds");
	int64_t seconds = timeout ? strtoll(timeout, NULL, 10) : 0;

	watch->end_ms = now_ms + (seconds > 0 && seconds < 1000000 ? seconds * 1000 : DEFAULT_TIMEOUT_MS);
	if (!watch->bookmarks)
		return;
	watch->bookmark_ms = now_ms + watch->watches->bookmark_every_ms;
	if (watch->bookmark_ms > watch->end_ms - BEFORE_END_MS)
		watch->bookmark_ms = watch->end_ms - BEFORE_END_MS;
}

struct mkube_watch *mkube_watch_open(struct mkube_watches *watches, const struct mkube_request *request,
				     const struct mkube_sink *sink, void (*start)(void *aux), int64_t now_ms,
				     struct mkube_reply *reply)
{
	struct mkube_watch *watch = mem_alloc(sizeof *watch);
	struct mkube_store *store = watches->api->store;
	bool initial;
	uint64_t rv;

	watch->watches = watches;
	watch->sink = *sink;
	watch->kind = request->route.kind;
	strcpy(watch->namespace, request->route.namespace);
	watch->next = watches->first;
	watch->link = &watches->first;
	if (watch->next)
		watch->next->link = &watch->next;
	watches->first = watch;
	if (!parse(watch, request, &rv, &initial, reply)) {
		mkube_watch_close(watch);
		return NULL;
	}
	set_times(watch, request, now_ms);
	start(sink->aux);
	watch->from = rv > 0 && !initial ? rv : mkube_store_rv(store);
	watch->initial_done = rv > 0 && !initial;
	if (!watch->initial_done) {
		take_initial(watch);
		watch->cursor = mkube_history_next(store, watch->kind);
	} else if (!mkube_history_after(store, watch->kind, rv, &watch->cursor)) {
		send_gone(watch, rv);
		end(watch, true);
		return NULL;
	}
	pump(watch);
	return watch;
}

static bool concerns(const struct mkube_watch *watch, enum mkube_kind kind)
{
	return kind == MKUBE_KINDS || watch->kind == kind;
}

unsigned mkube_watches_end(struct mkube_watches *watches, enum mkube_kind kind, enum mkube_watch_end how)
{
	unsigned n = 0;

	for (struct mkube_watch *watch = watches->first, *next; watch; watch = next) {
		next = watch->next;
		if (!concerns(watch, kind))
			continue;
		if (how == MKUBE_WATCH_GONE)
			send_gone(watch, watch->from);
		end(watch, how != MKUBE_WATCH_CUT);
		n++;
	}
	return n;
}

unsigned mkube_watches_bookmark(struct mkube_watches *watches, enum mkube_kind kind)
{
	unsigned n = 0;

	for (struct mkube_watch *watch = watches->first; watch; watch = watch->next)
		if (concerns(watch, kind) && watch->bookmarks && caught_up(watch))
			n += send_bookmark(watch, bookmark_rv(watch), false);
	return n;
}

json_t *mkube_watches_list(const struct mkube_watches *watches)
{
	json_t *list = json_array();

	for (const struct mkube_watch *watch = watches->first; watch; watch = watch->next)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:I}", "resource",
						      mkube_resources[watch->kind].plural, "namespace",
						      watch->namespace, "selector", watch->selector_text, "bookmarks",
						      watch->bookmarks, "from", (json_int_t)watch->from));
	return list;
}

uint64_t mkube_watches_sent(const struct mkube_watches *watches)
{
	return watches->sent;
}
