#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "ufmsync/api_private.h"

/* The forms that all answers share, and those in which questions are written. */

json_t *api_text(const char *text)
{
	if (!text)
		return json_null();
	json_t *value = json_string(text);
	if (value)
		return value;
	/* Cut in the middle of a character, or worse. */
	char *plain = mem_dup(text);
	for (char *c = plain; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	value = json_string(plain);
	free(plain);
	return value;
}

json_t *api_guid(struct guid guid)
{
	char text[GUID_TEXT_MAX];

	return json_string_nocheck(guid_format(text, guid));
}

json_t *api_pkey(struct pkey pkey)
{
	char text[PKEY_TEXT_MAX];

	return json_string_nocheck(pkey_format_wire(text, pkey));
}

json_t *api_wall(int64_t wall_ms)
{
	char text[28];

	json_micro_time(text, wall_ms);
	return json_string_nocheck(text);
}

json_t *api_time(int64_t ms)
{
	return api_wall(loop_wall_ms() - (loop_now_ms() - ms));
}

json_t *api_time_or_null(int64_t ms)
{
	return ms < 0 ? json_null() : api_time(ms);
}

void api_put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new_nocheck(object, key, value);
}

void api_put_count(json_t *object, const char *key, uint64_t n)
{
	api_put(object, key, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

void api_put_bool(json_t *object, const char *key, bool value)
{
	api_put(object, key, json_boolean(value));
}

json_t *api_error(const char *code, const char *message)
{
	json_t *error = json_object(), *answer = json_object();

	api_put(error, "code", api_text(code));
	api_put(error, "message", api_text(message));
	api_put(answer, "error", error);
	return answer;
}

bool api_number(uint64_t *out, const char *text, uint64_t most, const char **end)
{
	uint64_t n = 0;
	const char *c = text;

	for (; *c >= '0' && *c <= '9'; c++) {
		unsigned digit = (unsigned)(*c - '0');

		if (n > (most - digit) / 10 || digit > most)
			return false;
		n = 10 * n + digit;
	}
	if (c == text || (!end && *c))
		return false;
	if (end)
		*end = c;
	*out = n;
	return true;
}

bool api_pkey_parse(struct pkey *out, const char *text)
{
	if (strcasecmp(text, "0x7fff") == 0 || strcmp(text, "32767") == 0) {
		*out = (struct pkey){ PKEY_MANAGEMENT };
		return true;
	}
	return pkey_parse(out, text);
}

bool api_no_body(const struct api_question *question)
{
	const struct api_request *request = question->request;
	struct error err = { 0 };

	if (!request->body || request->body_len == 0)
		return true;
	json_t *body = json_parse(request->body, request->body_len, &err);
	bool empty = json_is_object(body) && json_object_size(body) == 0;
	json_decref(body);
	if (!empty)
		api_fail(question, 400, "BadRequest", "a body is of no use here");
	return empty;
}
