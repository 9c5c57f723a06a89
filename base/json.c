#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DEPTH_MAX = 64 };

/* jansson descends recursively and allows 2048 levels; what comes from outside gets far less.  Text that is not JSON
 * may be counted wrongly here, which does not matter: jansson refuses it. */
static bool too_deep(const char *text, size_t len)
{
	unsigned depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

json_t *json_parse(const char *text, size_t len, struct error *err)
{
	json_error_t why;

	if (too_deep(text, len)) {
		error_set(err, ERROR_INVALID, "JSON deeper than %d levels", DEPTH_MAX);
		return NULL;
	}
	/* jansson 2.14 passes over a NUL byte behind a number. */
	if (len > 0 && memchr(text, '\0', len)) {
		error_set(err, ERROR_INVALID, "not JSON: a NUL byte in it");
		return NULL;
	}
	/* Escaped NULs are let in, and the string that has one is then no string to json_str(): one bad value in a document
	 * must not make the rest of it unreadable. */
	json_t *root = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
	if (!root)
		error_set(err, ERROR_INVALID, "not JSON: line %d column %d: %s", why.line, why.column, why.text);
	return root;
}

static const json_t *descend(const json_t *at, va_list keys)
{
	for (const char *key; at && (key = va_arg(keys, const char *));)
		at = json_object_get(at, key);
	return at;
}

json_t *json_at(const json_t *root, ...)
{
	va_list keys;

	va_start(keys, root);
	const json_t *at = descend(root, keys);
	va_end(keys);
	return (json_t *)at;
}

const char *json_str(const json_t *root, ...)
{
	va_list keys;

	va_start(keys, root);
	const json_t *at = descend(root, keys);
	va_end(keys);
	const char *text = json_string_value(at);
	return text && strlen(text) == json_string_length(at) ? text : NULL;
}

bool json_bool(const json_t *root, int otherwise, ...)
{
	va_list keys;

	va_start(keys, otherwise);
	const json_t *at = descend(root, keys);
	va_end(keys);
	return json_is_boolean(at) ? json_is_true(at) : otherwise;
}

int64_t json_int(const json_t *root, int64_t otherwise, ...)
{
	va_list keys;

	va_start(keys, otherwise);
	const json_t *at = descend(root, keys);
	va_end(keys);
	return json_is_integer(at) ? (int64_t)json_integer_value(at) : otherwise;
}

/* Exactly `n` digits, then `behind`; *text moves past both.  -1 when it is anything else. */
static int digits(const char **text, int n, char behind)
{
	int value = 0;

	for (int i = 0; i < n; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		value = value * 10 + (**text - '0');
	}
	return *(*text)++ == behind ? value : -1;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

/* "Z", or '.', 1 to 9 digits and "Z", and nothing behind it. */
static bool fraction_ms(int *ms, const char *text)
{
	int n = 0;

	*ms = 0;
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9'; text++, n++)
			if (n < 3)
				*ms = *ms * 10 + (*text - '0');
		if (n < 1 || n > 9)
			return false;
		for (; n < 3; n++)
			*ms *= 10;
	}
	return strcmp(text, "Z") == 0;
}

bool json_time_ms(int64_t *ms, const char *text)
{
	int year, month, day, hour, minute, second, fraction;

	if ((year = digits(&text, 4, '-')) < 0 || (month = digits(&text, 2, '-')) < 1 || month > 12)
		return false;
	if ((day = digits(&text, 2, 'T')) < 1 || day > days_in(year, month))
		return false;
	if ((hour = digits(&text, 2, ':')) < 0 || hour > 23 || (minute = digits(&text, 2, ':')) < 0 || minute > 59)
		return false;
	const char *behind = text + strspn(text, "0123456789");
	if ((*behind != 'Z' && *behind != '.') || (second = digits(&text, 2, *behind)) < 0 || second > 59)
		return false;
	if (!fraction_ms(&fraction, behind))
		return false;
	struct tm tm = { .tm_year = year - 1900,
			 .tm_mon = month - 1,
			 .tm_mday = day,
			 .tm_hour = hour,
			 .tm_min = minute,
			 .tm_sec = second };
	*ms = (int64_t)timegm(&tm) * 1000 + fraction;
	return true;
}

void json_micro_time(char out[28], int64_t ms)
{
	const int64_t last = 253402300799999; /* of the year 9999: 27 characters hold no more */

	ms = ms < 0 ? 0 : ms > last ? last : ms;
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t n = strftime(out, 28, "%Y-%m-%dT%H:%M:%S", &tm);
	assert(n == 19);
	snprintf(out + n, 28 - n, ".%03u000Z", (unsigned)(ms % 1000));
}

void json_freep(json_t **value)
{
	json_decref(*value);
	*value = NULL;
}
