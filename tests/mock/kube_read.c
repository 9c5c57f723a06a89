#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_api.h"
#include "tests/mock/kube_selector.h"
#include "tests/mock/kube_token.h"

/* Every list, also one of 100,000 pods in a single answer, fits. */
static const size_t LIST_BYTES_MAX = (size_t)4 << 30;

/* What one list request asks for, and where it reads. */
struct listing {
	enum mkube_kind kind;
	const char *namespace;
	struct mkube_selector selector;
	uint64_t limit; /* 0: none */
	char *start;    /* go on behind this key; NULL: from the beginning */
	uint64_t rv;    /* what the answer shows */
	struct mkube_version *const *versions;
	size_t n;
};

static bool fail_expired(struct mkube_reply *reply, const char *start)
{
	char *token = mkube_token_make(-1, start);

	mkube_fail(
		reply, 410, "Expired", NULL,
		"The provided continue parameter is too old to display a consistent list result. You can start a new "
		"list without the continue parameter, or use the continue token in this response to retrieve the "
		"remainder of the results.");
	json_t *status = json_loads(reply->body, 0, NULL);
	json_object_set_new(json_object_get(status, "metadata"), "continue", json_string(token));
	mkube_reply_json(reply, 410, status);
	free(token);
	return false;
}

static bool fail_too_large(const struct mkube_store *store, uint64_t rv, struct mkube_reply *reply)
{
	json_t *details = json_pack("{s:[{s:s, s:s}], s:i}", "causes", "reason", "ResourceVersionTooLarge", "message",
				    "Too large resource version", "retryAfterSeconds", 1);

	reply->retry_after = 1;
	return mkube_fail(reply, 504, "Timeout", details,
			  "Timeout: Too large resource version: %" PRIu64 ", current: %" PRIu64, rv,
			  mkube_store_rv(store));
}

static void read_present(struct mkube_api *api, struct listing *listing)
{
	listing->rv = mkube_store_rv(api->store);
	if (listing->limit > 0)
		listing->versions = mkube_store_snapshot(api->store, listing->kind, &listing->n);
	else
		listing->versions = mkube_store_all(api->store, listing->kind, &listing->n);
}

static bool read_continued(struct mkube_api *api, const char *token, bool rv_given, struct listing *listing,
			   struct mkube_reply *reply)
{
	int64_t rv;

	if (rv_given)
		return mkube_fail_bad_request(reply, "specifying resource version is not allowed when using continue");
	if (!mkube_token_parse(token, &rv, &listing->start))
		return mkube_fail_bad_request(reply, "continue key is not valid");
	if (rv < 0) {
		read_present(api, listing);
		return true;
	}
	listing->rv = (uint64_t)rv;
	listing->versions = mkube_store_snapshot_at(api->store, listing->kind, listing->rv, &listing->n);
	return listing->versions || fail_expired(reply, listing->start);
}

static bool choose(struct mkube_api *api, const struct mkube_request *request, struct listing *listing,
		   struct mkube_reply *reply)
{
	const char *limit = mkube_query(request, "limit"), *token = mkube_query(request, "continue");
	const char *match = mkube_query(request, "resourceVersionMatch");
	struct error err;
	uint64_t rv;
	bool given;

	if (!mkube_query_rv(request, &rv, &given, reply))
		return false;
	if (mkube_selector_parse(&listing->selector, &mkube_resources[listing->kind],
				 mkube_query(request, "fieldSelector"), mkube_query(request, "labelSelector"),
				 &err) < 0)
		return mkube_fail_bad_request(reply, err.text);
	listing->limit = limit ? strtoull(limit, NULL, 10) : 0;
	if (token && *token)
		return read_continued(api, token, given, listing, reply);
	if (rv > mkube_store_rv(api->store))
		return fail_too_large(api->store, rv, reply);
	if (given && match && strcmp(match, "Exact") == 0 && rv != mkube_store_rv(api->store)) {
		listing->rv = rv;
		listing->versions = mkube_store_snapshot_at(api->store, listing->kind, rv, &listing->n);
		return listing->versions || fail_expired(reply, "");
	}
	if (given && rv == 0)
		listing->limit = 0; /* it comes from the watch cache, which knows no pages */
	read_present(api, listing);
	return true;
}

static void append_item(struct buf *body, const struct mkube_version *version, bool first)
{
	bool brace;
	size_t len;
	const char *text = mkube_version_item(version, &len, &brace);

	if (!first)
		buf_append(body, ",", 1);
	if (brace)
		buf_append(body, "{", 1);
	buf_append(body, text, len);
}

static bool in_namespace(const struct mkube_version *version, const char *namespace)
{
	return strcmp(mkube_version_field(version, MKUBE_FIELD_NAMESPACE), namespace) == 0;
}

/* Appends the items of this page; *last is the key of its last one when there are more behind it, else NULL. */
static void append_items(struct buf *body, const struct listing *listing, const char **last, size_t *remaining)
{
	const char *namespace = listing->namespace;
	size_t at = 0, items = 0;

	*last = NULL;
	*remaining = 0;
	if (listing->start) {
		at = mkube_versions_seek(listing->versions, listing->n, listing->start);
		if (at < listing->n && strcmp(listing->versions[at]->key, listing->start) == 0)
			at++;
	} else if (*namespace) {
		char *key = mem_printf("%s/", namespace);

		at = mkube_versions_seek(listing->versions, listing->n, key);
		free(key);
	}
	for (const char *previous = NULL; at < listing->n; at++) {
		const struct mkube_version *version = listing->versions[at];

		if (*namespace && !in_namespace(version, namespace))
			break;
		if (!mkube_selector_match(&listing->selector, version))
			continue;
		if (listing->limit > 0 && items == listing->limit) {
			*last = previous;
			if (!*namespace)
				*remaining = listing->n - at;
			while (*namespace && at < listing->n && in_namespace(listing->versions[at++], namespace))
				(*remaining)++;
			return;
		}
		append_item(body, version, items++ == 0);
		previous = version->key;
	}
}

static void append_metadata(struct buf *body, const struct listing *listing, const char *last, size_t remaining,
			    bool custom)
{
	char *token = last ? mkube_token_make((int64_t)listing->rv, last) : NULL;

	buf_text(body, "\"metadata\":{");
	if (custom)
		buf_printf(body, "\"continue\":\"%s\",", token ? token : "");
	if (custom && token && listing->selector.n == 0)
		buf_printf(body, "\"remainingItemCount\":%zu,", remaining);
	buf_printf(body, "\"resourceVersion\":\"%" PRIu64 "\"", listing->rv);
	if (!custom && token)
		buf_printf(body, ",\"continue\":\"%s\"", token);
	if (!custom && token && listing->selector.n == 0)
		buf_printf(body, ",\"remainingItemCount\":%zu", remaining);
	buf_text(body, "}");
	free(token);
}

static void answer(const struct listing *listing, struct mkube_reply *reply)
{
	const struct mkube_resource *resource = &mkube_resources[listing->kind];
	const char *last, *slash = *resource->group ? "/" : "";
	struct buf body, items;
	size_t remaining;

	buf_init(&body, LIST_BYTES_MAX);
	buf_init(&items, LIST_BYTES_MAX);
	append_items(&items, listing, &last, &remaining);
	if (resource->custom) {
		buf_printf(&body, "{\"apiVersion\":\"%s%s%s\",\"items\":[", resource->group, slash, resource->version);
		buf_append(&body, items.data, items.len);
		buf_printf(&body, "],\"kind\":\"%sList\",", resource->kind);
		append_metadata(&body, listing, last, remaining, true);
	} else {
		buf_printf(&body, "{\"kind\":\"%sList\",\"apiVersion\":\"%s%s%s\",", resource->kind, resource->group,
			   slash, resource->version);
		append_metadata(&body, listing, last, remaining, false);
		buf_text(&body, ",\"items\":[");
		buf_append(&body, items.data, items.len);
		buf_text(&body, "]");
	}
	buf_text(&body, "}");
	buf_free(&items);
	reply->status = 200;
	reply->len = body.len;
	reply->body = buf_take(&body);
}

void mkube_list(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply)
{
	struct listing listing = { .kind = request->route.kind, .namespace = request->route.namespace };

	if (choose(api, request, &listing, reply))
		answer(&listing, reply);
	mkube_selector_free(&listing.selector);
	free(listing.start);
}
