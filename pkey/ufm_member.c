#include "pkey/ufm_member.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"

/* A list of 50,000 members must not cost 50,000 trees of JSON values, so a member is read in place.  Only one that holds
 * a backslash, which UFM never writes, takes the long way. */

struct slice {
	const char *at;
	size_t n;
};

struct fields {
	struct slice guid, membership, index0;
};

static bool is(struct slice slice, const char *text)
{
	return slice.n == strlen(text) && strncasecmp(slice.at, text, slice.n) == 0;
}

static const char *skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return p;
}

/* Behind the string that begins at p, *body without its quotes; NULL when it does not end. */
static const char *read_string(const char *p, struct slice *body)
{
	const char *end = strchr(p + 1, '"');

	if (!end)
		return NULL;
	*body = (struct slice){ p + 1, (size_t)(end - p - 1) };
	return end + 1;
}

static const char *skip_nested(const char *p)
{
	size_t depth = 0;
	struct slice ignored;

	do {
		if (*p == '\0')
			return NULL;
		if (*p == '"') {
			p = read_string(p, &ignored);
			if (!p)
				return NULL;
			continue;
		}
		depth += *p == '{' || *p == '[';
		depth -= *p == '}' || *p == ']';
		p++;
	} while (depth > 0);
	return p;
}

static const char *read_value(const char *p, struct slice *value)
{
	if (*p == '"')
		return read_string(p, value);
	const char *end = *p == '{' || *p == '[' ? skip_nested(p) : p + strcspn(p, ",} \t\r\n");

	if (end)
		*value = (struct slice){ p, (size_t)(end - p) };
	return end;
}

static void take(struct fields *fields, struct slice key, struct slice value)
{
	if (is(key, "guid") || is(key, "port_guid"))
		fields->guid = value;
	else if (is(key, "membership"))
		fields->membership = value;
	else if (is(key, "index0") || is(key, "index_0"))
		fields->index0 = value;
}

static bool read_fields(struct fields *fields, const char *json)
{
	const char *p = skip_blanks(json + 1);

	while (*p == '"') {
		struct slice key, value = { 0 };
		p = read_string(p, &key);
		if (!p)
			return false;
		p = skip_blanks(p);
		if (*p++ != ':')
			return false;
		p = read_value(skip_blanks(p), &value);
		if (!p)
			return false;
		take(fields, key, value);
		p = skip_blanks(p);
		if (*p == ',')
			p = skip_blanks(p + 1);
	}
	return *p == '}';
}

/* Up to 16 hexadecimal digits with or without 0x, or eight pairs with colons. */
static bool read_guid(struct guid *out, struct slice text)
{
	char copy[GUID_TEXT_MAX], padded[17] = "0000000000000000";
	bool prefixed = text.n > 2 && text.at[0] == '0' && (text.at[1] == 'x' || text.at[1] == 'X');
	const char *digits = prefixed ? text.at + 2 : text.at;
	size_t n = prefixed ? text.n - 2 : text.n;

	if (n > 0 && n <= 16) {
		memcpy(padded + 16 - n, digits, n);
		return guid_parse_hex(out, padded);
	}
	if (text.n >= sizeof copy)
		return false;
	memcpy(copy, text.at, text.n);
	copy[text.n] = '\0';
	return guid_parse(out, copy);
}

static int finish(struct member *out, bool *odd, const struct fields *fields, struct error *err)
{
	if (!fields->guid.at)
		return error_set(err, ERROR_RETRY, "a member without a GUID");
	*odd = !read_guid(&out->guid, fields->guid);
	out->membership = is(fields->membership, "limited") ? MEMBERSHIP_LIMITED : MEMBERSHIP_FULL;
	out->index0 = is(fields->index0, "true") || is(fields->index0, "1");
	return 0;
}

static struct slice text_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_string(value))
		return (struct slice){ json_string_value(value), json_string_length(value) };
	return json_is_true(value) ? (struct slice){ "true", 4 } : (struct slice){ 0 };
}

static struct slice either(struct slice a, struct slice b)
{
	return a.at ? a : b;
}

static int read_the_long_way(struct member *out, bool *odd, const char *json, size_t len, struct error *err)
{
	__attribute__((cleanup(json_freep))) json_t *object = json_parse(json, len, err);

	if (!object)
		return -1;
	const struct fields fields = {
		.guid = either(text_at(object, "guid"), text_at(object, "port_guid")),
		.membership = text_at(object, "membership"),
		.index0 = either(text_at(object, "index0"), text_at(object, "index_0")),
	};
	return finish(out, odd, &fields, err);
}

int ufm_member_read(struct member *out, bool *odd, const char *json, size_t len, struct error *err)
{
	struct fields fields = { 0 };

	if (json[0] != '{')
		return error_set(err, ERROR_RETRY, "a member that is no object");
	if (memchr(json, '\\', len))
		return read_the_long_way(out, odd, json, len, err);
	if (!read_fields(&fields, json))
		return error_set(err, ERROR_RETRY, "a member that is no JSON");
	return finish(out, odd, &fields, err);
}
