#include "ufmsync/kube/pod.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/kube/pod_networks.h"

/* Annotations are edited, not written anew: bytes are copied up to a value of ours, that value is replaced, and so on.
 * What a key says twice is made to say the same twice, whichever of them a reader takes. */

enum { NEW_TEXT_MAX = 2 * POD_ANNOTATION_MAX }; /* the API server judges what is too long */

/* Copies the text between values as it stands. */
struct copy {
	struct buf *out;
	const char *from; /* copied up to here */
};

static void copy_until(struct copy *copy, const char *until)
{
	buf_append(copy->out, copy->from, (size_t)(until - copy->from));
	copy->from = until;
}

static void skip_until(struct copy *copy, const char *until)
{
	copy->from = until;
}

static const char *span_end(struct json_span span)
{
	return span.at + span.len;
}

/* --- cni-args --- */

enum our_key { KEY_GUID, KEY_APP, KEY_PKEY, KEY_COUNT };
static const char *const our_keys[KEY_COUNT] = { "guid", POD_APP_KEY, "pkey" };

static enum our_key which_key(struct json_span key)
{
	enum our_key i = KEY_GUID;

	while (i < KEY_COUNT && !json_span_is(key, our_keys[i]))
		i++;
	return i;
}

/* The text of the value; NULL: the key is not to be there. */
static const char *our_value(enum our_key key, const struct pod_publication *publication, char guid[GUID_TEXT_MAX])
{
	switch (key) {
	case KEY_GUID:
		return guid_format(guid, publication->guid);
	case KEY_APP:
		return POD_APP_VALUE;
	default:
		return publication->pkey_text;
	}
}

static void write_value(struct buf *out, enum our_key key, const struct pod_publication *publication)
{
	char guid[GUID_TEXT_MAX];

	buf_json_string(out, our_value(key, publication, guid));
}

/* `,"guid":"02:...","pkey":"0x5"`: those not `there` yet. */
static void write_missing(struct buf *out, const bool there[KEY_COUNT], const struct pod_publication *publication,
			  bool comma)
{
	for (enum our_key key = KEY_GUID; key < KEY_COUNT; key++) {
		char guid[GUID_TEXT_MAX];
		if (there[key] || !our_value(key, publication, guid))
			continue;
		buf_printf(out, "%s\"%s\":", comma ? "," : "", our_keys[key]);
		write_value(out, key, publication);
		comma = true;
	}
}

static void write_args(struct buf *out, const struct pod_publication *publication)
{
	buf_text(out, "{");
	write_missing(out, (const bool[KEY_COUNT]){ false }, publication, false);
	buf_text(out, "}");
}

/* A member that stays, without the comma before it if it is the first of those that stay. */
static void copy_member(struct copy *copy, const struct json_walk *walk, bool first)
{
	if (first) {
		const char *comma = memchr(copy->from, ',', (size_t)(walk->key.at - copy->from));
		if (comma)
			skip_until(copy, comma + 1);
	}
	copy_until(copy, walk->value.at);
}

/* `complete`: keys that are missing are put in. */
static void edit_args(struct copy *copy, struct json_span args, const struct pod_publication *publication,
		      bool complete)
{
	bool there[KEY_COUNT] = { false }, first = true;
	char guid[GUID_TEXT_MAX];

	copy_until(copy, args.at + 1);
	for (struct json_walk walk = json_walk_in(args); json_walk_next(&walk);) {
		enum our_key key = which_key(walk.key);
		if (key < KEY_COUNT && !our_value(key, publication, guid)) {
			skip_until(copy, span_end(walk.value));
			continue;
		}
		copy_member(copy, &walk, first);
		first = false;
		if (key < KEY_COUNT) {
			write_value(copy->out, key, publication);
			skip_until(copy, span_end(walk.value));
			there[key] = true;
		} else {
			copy_until(copy, span_end(walk.value));
		}
	}
	if (complete)
		write_missing(copy->out, there, publication, !first);
	copy_until(copy, span_end(args));
}

/* --- an element --- */

static bool writes_request(const struct pod_publication *publication)
{
	return publication->runtime_guid && publication->source == POD_NETWORKS;
}

static void write_request(struct buf *out, const struct pod_publication *publication)
{
	char guid[GUID_TEXT_MAX];

	buf_json_string(out, guid_format(guid, publication->guid));
}

/* What an element lacks, behind its last member. */
static void write_lacking(struct buf *out, const struct pod_publication *publication, bool request, bool args)
{
	if (!request && writes_request(publication)) {
		buf_text(out, ",\"infiniband-guid\":");
		write_request(out, publication);
	}
	if (!args) {
		buf_text(out, ",\"cni-args\":");
		write_args(out, publication);
	}
}

static struct json_span last_args(struct json_span element)
{
	struct json_span last = { 0 };

	for (struct json_walk walk = json_walk_in(element); json_walk_next(&walk);) {
		if (pod_field_is(walk.key, "cni-args"))
			last = walk.value;
	}
	return last;
}

/* The element has a name, so it is not empty. */
static void edit_element(struct copy *copy, struct json_span element, const struct pod_publication *publication)
{
	struct json_span last = last_args(element);
	bool request = false;

	copy_until(copy, element.at + 1);
	for (struct json_walk walk = json_walk_in(element); json_walk_next(&walk);) {
		copy_until(copy, walk.value.at);
		if (pod_field_is(walk.key, "cni-args") && json_span_type(walk.value) == '{') {
			edit_args(copy, walk.value, publication, walk.value.at == last.at);
		} else if (walk.value.at == last.at) { /* null */
			write_args(copy->out, publication);
			skip_until(copy, span_end(walk.value));
		} else if (writes_request(publication) && pod_field_is(walk.key, "infiniband-guid")) {
			write_request(copy->out, publication);
			skip_until(copy, span_end(walk.value));
			request = true;
		}
		copy_until(copy, span_end(walk.value));
	}
	write_lacking(copy->out, publication, request, last.at);
	copy_until(copy, span_end(element));
}

/* --- an annotation --- */

static const struct pod_publication *find_publication(enum pod_source source, int index,
						      const struct pod_publication *publications, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (publications[i].source == source && publications[i].index == index)
			return &publications[i];
	}
	return NULL;
}

static int edit_list(struct buf *out, enum pod_source source, const char *text,
		     const struct pod_publication *publications, size_t n, struct error *err)
{
	struct json_span list;
	int index = source == POD_NETWORKS ? 0 : -1;

	if (pod_text_list(&list, source, text, err) < 0)
		return -1;
	struct copy copy = { out, text };
	if (json_span_type(list) == '{') { /* a default network without its list, which multus would not read */
		buf_text(out, "[");
		skip_until(&copy, list.at);
		edit_element(&copy, list, find_publication(source, -1, publications, n));
		buf_text(out, "]");
		return 0;
	}
	for (struct json_walk walk = json_walk_in(list); json_walk_next(&walk); index++) {
		const struct pod_publication *publication = find_publication(source, index, publications, n);
		copy_until(&copy, walk.value.at);
		if (publication)
			edit_element(&copy, walk.value, publication);
		copy_until(&copy, span_end(walk.value));
	}
	copy_until(&copy, text + strlen(text));
	return 0;
}

static void write_list(struct buf *out, const struct pod *pod, enum pod_source source,
		       const struct pod_publication *publications, size_t n)
{
	const char *before = "[";

	for (size_t i = 0; i < pod->n_networks; i++) {
		const struct pod_network *network = &pod->networks[i];
		if (network->source != source)
			continue;
		const struct pod_publication *publication = find_publication(source, network->index, publications, n);
		buf_printf(out, "%s{\"name\":\"%s\",\"namespace\":\"%s\"", before, network->name, network->namespace);
		before = ",";
		if (*network->interface) {
			buf_text(out, ",\"interface\":");
			buf_json_string(out, network->interface);
		}
		if (publication)
			write_lacking(out, publication, false, false);
		buf_text(out, "}");
	}
	buf_text(out, "]");
}

static bool has_network(const struct pod *pod, const struct pod_publication *publication)
{
	for (size_t i = 0; i < pod->n_networks; i++) {
		if (pod->networks[i].source == publication->source && pod->networks[i].index == publication->index)
			return true;
	}
	return false;
}

/* --- the patch --- */

/* A string as Go's encoder writes it.  The API server's `test` compares not what strings mean but how they are spelled:
 * ours with its own encoding of the object. */
static void write_go_string(struct buf *out, const char *text)
{
	buf_text(out, "\"");
	while (*text) {
		size_t plain = strcspn(text, "\"\\<>&\t\n\r\xe2");
		buf_append(out, text, plain);
		text += plain;
		if (!*text)
			break;
		if (strncmp(text, "\xe2\x80\xa8", 3) == 0 || strncmp(text, "\xe2\x80\xa9", 3) == 0) {
			buf_text(out, text[2] == '\xa8' ? "\\u2028" : "\\u2029");
			text += 2;
		} else if (strchr("<>&", *text)) {
			buf_printf(out, "\\u%04x", (unsigned)(unsigned char)*text);
		} else if (*text == '\xe2') {
			buf_append(out, text, 1);
		} else {
			buf_printf(out, "\\%c",
				   *text == '\t'   ? 't'
				   : *text == '\n' ? 'n'
				   : *text == '\r' ? 'r'
						   : *text);
		}
		text++;
	}
	buf_text(out, "\"");
}

static void write_operation(struct buf *patch, const char *operation, const char *key, const char *value)
{
	buf_printf(patch, ",{\"op\":\"%s\",\"path\":\"/metadata/annotations", operation);
	if (key) {
		buf_text(patch, "/");
		for (const char *p = key; *p; p++)
			buf_printf(patch, *p == '/' ? "~1" : "%c", *p);
	}
	buf_text(patch, "\",\"value\":");
	if (value)
		write_go_string(patch, value);
	else
		buf_text(patch, "null");
	buf_text(patch, "}");
}

static int patch_networks(struct buf *patch, const struct pod *pod, enum pod_source source,
			  const struct pod_publication *publications, size_t n, struct error *err)
{
	const char *text = source == POD_NETWORKS ? pod->networks_text : pod->default_text;
	struct buf edited;
	bool wanted = false;

	for (size_t i = 0; i < n; i++)
		wanted |= publications[i].source == source;
	if (!wanted)
		return 0;
	buf_init(&edited, NEW_TEXT_MAX);
	if (!pod_text_is_json(text))
		write_list(&edited, pod, source, publications, n);
	else if (edit_list(&edited, source, text, publications, n, err) < 0)
		goto failed;
	if (edited.full) {
		error_set(err, ERROR_LIMIT, "would be longer than %d bytes", NEW_TEXT_MAX);
		goto failed;
	}
	if (strcmp(edited.data, text) != 0) {
		write_operation(patch, "test", pod_source_key(source), text);
		write_operation(patch, "replace", pod_source_key(source), edited.data);
	}
	buf_free(&edited);
	return 0;
failed:
	buf_free(&edited);
	return error_wrap(err, "%s", pod_source_key(source));
}

static void patch_record(struct buf *patch, const struct pod *pod, const char *record)
{
	if (pod->record_text && strcmp(pod->record_text, record) == 0)
		return;
	if (!pod->has_annotations) {
		buf_text(patch, ",{\"op\":\"test\",\"path\":\"/metadata/annotations\",\"value\":null}");
		buf_text(patch, ",{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{}}");
	}
	if (!pod->record_odd) /* that one has no text to test for; it is nobody's record in any case */
		write_operation(patch, "test", POD_RECORD_KEY, pod->record_text);
	write_operation(patch, pod->record_text || pod->record_odd ? "replace" : "add", POD_RECORD_KEY, record);
}

int pod_patch(struct buf *patch, const struct pod *pod, const struct pod_publication *publications, size_t n,
	      const char *record, struct error *err)
{
	assert(pod->texts_known);
	for (size_t i = 0; i < n; i++) {
		if (!has_network(pod, &publications[i]))
			return error_set(err, ERROR_INVALID, "%s does not name interface %d",
					 pod_source_key(publications[i].source), publications[i].index);
	}
	buf_text(patch, "[{\"op\":\"test\",\"path\":\"/metadata/uid\",\"value\":");
	write_go_string(patch, pod->uid);
	buf_text(patch, "}");
	if (patch_networks(patch, pod, POD_NETWORKS, publications, n, err) < 0 ||
	    patch_networks(patch, pod, POD_DEFAULT_NETWORK, publications, n, err) < 0)
		return -1;
	if (record)
		patch_record(patch, pod, record);
	if (!buf_text(patch, "]"))
		return error_set(err, ERROR_LIMIT, "the patch is longer than %zu bytes", patch->max);
	return 0;
}

static bool says(const struct pod_network *network, const struct pod_publication *publication)
{
	bool request = writes_request(publication) ? network->request_guid.v == publication->guid.v : true;
	bool pkey = publication->pkey_text
			    ? network->pkey_text && strcmp(network->pkey_text, publication->pkey_text) == 0
			    : !network->pkey_text;

	return network->configured && network->args_guid.v == publication->guid.v && pkey && !network->pkey_odd &&
	       request;
}

bool pod_is_published(const struct pod *pod, const struct pod_publication *publications, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool found = false;
		for (size_t k = 0; k < pod->n_networks && !found; k++) {
			const struct pod_network *network = &pod->networks[k];
			found = network->source == publications[i].source && network->index == publications[i].index &&
				says(network, &publications[i]);
		}
		if (!found)
			return false;
	}
	return true;
}
