#include "pkey/ufm_wire.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"

enum {
	PATH_MAX_BYTES = 16 * 1024,
	BODY_MAX = 64 * 1024,
	/* Apache, which stands in front of UFM, takes 8190 bytes of "DELETE /path HTTP/1.1"; a proxy may add to them. */
	LINE_MAX_BYTES = 8000,
	LINE_WITHOUT_GUIDS = sizeof "DELETE /resources/pkeys/0x7ffe/guids/ HTTP/1.1",
	GUID_AND_COMMA = 17,
	QUOTE_MAX = 200,
};

void ufm_call_init(struct ufm_call *call)
{
	call->method = NULL;
	buf_init(&call->path, PATH_MAX_BYTES);
	buf_init(&call->body, BODY_MAX);
}

void ufm_call_free(struct ufm_call *call)
{
	buf_free(&call->path);
	buf_free(&call->body);
}

static void start(struct ufm_call *call, const char *method, const char *path)
{
	call->method = method;
	buf_clear(&call->path);
	buf_clear(&call->body);
	buf_text(&call->path, path);
}

static const char *truth(bool value)
{
	return value ? "true" : "false";
}

static void add_guids(struct buf *buf, const char *quote, const struct guid *guids, size_t n)
{
	char text[GUID_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		buf_printf(buf, "%s%s%s%s", i > 0 ? "," : "", quote, guid_format_hex(text, guids[i]), quote);
}

static void add_guid_array(struct buf *buf, const struct guid *guids, size_t n)
{
	buf_text(buf, "\"guids\":[");
	add_guids(buf, "\"", guids, n);
	buf_text(buf, "]}");
}

void ufm_call_join(struct ufm_call *call, struct pkey_class class, bool ip_over_ib, const struct guid *guids, size_t n)
{
	char pkey[PKEY_TEXT_MAX];

	/* Everything is said, as defaults differ: the schema's ip_over_ib is true. */
	start(call, "POST", "/resources/pkeys/");
	buf_printf(&call->body, "{\"pkey\":\"%s\",\"index0\":%s,\"ip_over_ib\":%s,\"membership\":\"%s\",",
		   pkey_format_wire(pkey, class.pkey), truth(class.index0), truth(ip_over_ib),
		   membership_name(class.membership));
	add_guid_array(&call->body, guids, n);
	assert(!call->body.full);
}

size_t ufm_delete_max(size_t prefix_len)
{
	size_t taken = prefix_len + LINE_WITHOUT_GUIDS;

	return taken + GUID_AND_COMMA > LINE_MAX_BYTES ? 1 : (LINE_MAX_BYTES - taken) / GUID_AND_COMMA;
}

void ufm_call_leave(struct ufm_call *call, enum ufm_route route, struct pkey pkey, const struct guid *guids, size_t n)
{
	char text[PKEY_TEXT_MAX];

	pkey_format_wire(text, pkey);
	if (route == UFM_DELETE) {
		start(call, "DELETE", "/resources/pkeys/");
		buf_printf(&call->path, "%s/guids/", text);
		add_guids(&call->path, "", guids, n);
	} else {
		start(call, "POST", "/actions/remove_guids_from_pkey");
		buf_printf(&call->body, "{\"pkey\":\"%s\",", text);
		add_guid_array(&call->body, guids, n);
	}
	assert(!call->path.full && !call->body.full);
}

void ufm_call_list(struct ufm_call *call, const struct pkey *only)
{
	char text[PKEY_TEXT_MAX];

	start(call, "GET", "/resources/pkeys/");
	if (only)
		buf_text(&call->path, pkey_format_wire(text, *only));
	/* Never together with qos_conf: the list of all then lacks one of the two. */
	buf_text(&call->path, "?guids_data=true");
}

void ufm_call_probe(struct ufm_call *call)
{
	start(call, "GET", "/app/ufm_version");
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static bool is_page(const struct ufm_answer *answer)
{
	const char *p = answer->body;

	if (strncmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	return p[strspn(p, " \t\r\n")] == '<';
}

/* A web page comes from whatever stands in UFM's place. */
enum call_outcome ufm_outcome(const struct ufm_answer *answer)
{
	bool misplaced = (answer->status / 100 == 2 || answer->status == 404) && is_page(answer);

	return misplaced ? CALL_UNREADABLE : call_outcome_of_status(answer->status);
}

/* Printable ASCII in one line: the text goes into logs and Events. */
static void quote(char out[QUOTE_MAX + 1], const char *text, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n && len < QUOTE_MAX; i++) {
		unsigned char c = (unsigned char)text[i];
		if (isspace(c)) {
			if (len > 0 && out[len - 1] != ' ')
				out[len++] = ' ';
		} else {
			out[len++] = c > 0x20 && c < 0x7f ? (char)c : '?';
		}
	}
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
}

static void quote_page(char out[QUOTE_MAX + 1], const char *body)
{
	const char *title = strcasestr(body, "<title>"), *end = title ? strcasestr(title, "</title>") : NULL;
	char text[QUOTE_MAX + 1] = "";

	if (end)
		quote(text, title + 7, (size_t)(end - title - 7));
	snprintf(out, QUOTE_MAX + 1, "a web page%s%.100s%s", text[0] ? " \"" : "", text, text[0] ? "\"" : "");
}

static void quote_body(char out[QUOTE_MAX + 1], const struct ufm_answer *answer)
{
	if (answer->withhold)
		snprintf(out, QUOTE_MAX + 1, "its text is withheld, as it repeats credentials");
	else if (is_page(answer))
		quote_page(out, answer->body);
	else
		quote(out, answer->body, answer->body_len);
}

static int fail(struct error *err, enum error_kind kind, const struct ufm_answer *answer, const char *meaning)
{
	char text[QUOTE_MAX + 1];

	quote_body(text, answer);
	return error_set(err, kind, "HTTP %d%s%s%s%s", answer->status, meaning[0] ? ", " : "", meaning,
			 text[0] ? ": " : "", text);
}

static int fail_redirect(struct error *err, const struct ufm_answer *answer)
{
	char where[QUOTE_MAX + 1];

	if (answer->withhold)
		snprintf(where, sizeof where, "...");
	else
		quote(where, answer->location, strlen(answer->location));
	return error_set(err, ERROR_RETRY,
			 "HTTP %d, sent on to \"%s\": UFM_HTTP_SCHEMA, UFM_ADDRESS or UFM_PREFIX may be wrong",
			 answer->status, where);
}

#define WRONG_PLACE "this is not UFM's API, or not yet: it may be starting, or UFM_ADDRESS or UFM_PREFIX be wrong"

static enum ufm_verdict no_route(const struct ufm_answer *answer, struct error *err)
{
	fail(err, ERROR_RETRY, answer, WRONG_PLACE);
	return UFM_NO_ROUTE;
}

/* What means the same for every call.  404 is left to the caller where it is no page. */
static enum ufm_verdict judge(const struct ufm_answer *answer, struct error *err)
{
	int status = answer->status;

	if (status / 100 == 2) {
		if (!is_page(answer))
			return UFM_DONE;
		fail(err, ERROR_RETRY, answer, WRONG_PLACE);
		return UFM_FAILED;
	}
	if (status == 404)
		return is_page(answer) ? no_route(answer, err) : UFM_NO_PKEY;
	if (status == 405 || status == 501)
		return no_route(answer, err);
	if (status == 401)
		fail(err, ERROR_AUTH, answer, "UFM does not accept these credentials");
	else if (status == 403)
		fail(err, ERROR_AUTH, answer, "UFM does not allow this to this user");
	else if (status / 100 == 3)
		fail_redirect(err, answer);
	else if (status == 413 || status == 414)
		fail(err, ERROR_LIMIT, answer, "the request is too large");
	else if (status == 408 || status == 409 || status == 423 || status == 425 || status == 429)
		fail(err, ERROR_RETRY, answer, "not now");
	else if (status / 100 == 4)
		fail(err, ERROR_INVALID, answer, "refused");
	else
		fail(err, ERROR_RETRY, answer, "UFM is not able to answer");
	return UFM_FAILED;
}

/* A PKey that is missing is created by a join, so a 404 there can only be about a GUID. */
enum ufm_verdict ufm_judge_join(const struct ufm_answer *answer, struct error *err)
{
	enum ufm_verdict verdict = judge(answer, err);

	if (verdict != UFM_NO_PKEY)
		return verdict;
	fail(err, ERROR_GONE, answer,
	     "UFM does not know one of the GUIDs (a release that refuses GUIDs of ports that are not up yet needs "
	     "UFMSYNC_GATE=assigned)");
	return UFM_FAILED;
}

/* A role may allow one route and not the other. */
enum ufm_verdict ufm_judge_leave(const struct ufm_answer *answer, struct error *err)
{
	enum ufm_verdict verdict = judge(answer, err);

	return answer->status == 403 || answer->status == 414 ? UFM_NO_ROUTE : verdict;
}

enum ufm_verdict ufm_judge_list(const struct ufm_answer *answer, bool all, struct error *err)
{
	enum ufm_verdict verdict = judge(answer, err);

	return verdict == UFM_NO_PKEY && all ? no_route(answer, err) : verdict;
}

enum ufm_verdict ufm_judge_ports(const struct ufm_answer *answer, struct error *err)
{
	enum ufm_verdict verdict = judge(answer, err);

	if (verdict != UFM_NO_PKEY && verdict != UFM_NO_ROUTE)
		return verdict;
	error_set(err, ERROR_INVALID, "HTTP %d: this UFM does not tell its virtual ports", answer->status);
	return UFM_NO_ROUTE;
}

static void read_version(char version[UFM_VERSION_MAX], const json_t *object)
{
	char text[QUOTE_MAX + 1] = "";
	const char *said = json_str(object, "ufm_release_version", NULL);

	if (said)
		quote(text, said, strlen(said));
	snprintf(version, UFM_VERSION_MAX, "%.*s", UFM_VERSION_MAX - 1, text);
}

enum ufm_verdict ufm_judge_probe(const struct ufm_answer *answer, char version[UFM_VERSION_MAX], struct error *err)
{
	enum ufm_verdict verdict = judge(answer, err);
	struct error ignored;

	if (verdict == UFM_NO_PKEY)
		return no_route(answer, err);
	if (verdict != UFM_DONE)
		return verdict;
	__attribute__((cleanup(json_freep))) json_t *object = json_parse(answer->body, answer->body_len, &ignored);
	if (!json_is_object(object))
		return no_route(answer, err);
	read_version(version, object);
	return UFM_DONE;
}
