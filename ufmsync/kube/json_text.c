#include "ufmsync/kube/json_text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

/* Every function here takes the place where a thing should start and returns where it ends, or NULL; `*bad` is then the
 * place at which the text stopped being JSON. */
struct reader {
	const char *end;
	const char *bad;
};

static const char *fail(struct reader *reader, const char *at)
{
	reader->bad = at;
	return NULL;
}

static const char *blanks(const struct reader *reader, const char *p)
{
	while (p < reader->end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static bool is_digit(const struct reader *reader, const char *p)
{
	return p < reader->end && *p >= '0' && *p <= '9';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static const char *read_string(struct reader *reader, const char *p)
{
	for (p++; p < reader->end && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return fail(reader, p);
		if (*p != '\\')
			continue;
		if (++p == reader->end)
			return fail(reader, p);
		if (*p == 'u') {
			for (int i = 0; i < 4; i++) {
				if (++p == reader->end || nibble(*p) < 0)
					return fail(reader, p);
			}
		} else if (!*p || !strchr("\"\\/bfnrt", *p)) {
			return fail(reader, p);
		}
	}
	return p < reader->end ? p + 1 : fail(reader, p);
}

static const char *read_digits(struct reader *reader, const char *p)
{
	if (!is_digit(reader, p))
		return fail(reader, p);
	while (is_digit(reader, p))
		p++;
	return p;
}

static const char *read_number(struct reader *reader, const char *p)
{
	if (*p == '-')
		p++;
	if (p < reader->end && *p == '0')
		p++;
	else if (!(p = read_digits(reader, p)))
		return NULL;
	if (p < reader->end && *p == '.' && !(p = read_digits(reader, p + 1)))
		return NULL;
	if (p < reader->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < reader->end && (*p == '+' || *p == '-'))
			p++;
		p = read_digits(reader, p);
	}
	return p;
}

static const char *read_word(struct reader *reader, const char *p, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(reader->end - p) >= n && memcmp(p, word, n) == 0 ? p + n : fail(reader, p);
}

static const char *read_value(struct reader *reader, const char *p, unsigned depth);

/* From behind a member's key (or the '[' or ',') to behind its value. */
static const char *read_member(struct reader *reader, const char *p, bool object, unsigned depth)
{
	if (object) {
		if (p == reader->end || *p != '"')
			return fail(reader, p);
		if (!(p = read_string(reader, p)))
			return NULL;
		p = blanks(reader, p);
		if (p == reader->end || *p != ':')
			return fail(reader, p);
		p = blanks(reader, p + 1);
	}
	return read_value(reader, p, depth);
}

static const char *read_container(struct reader *reader, const char *p, unsigned depth)
{
	bool object = *p == '{';
	char close = object ? '}' : ']';

	if (depth == JSON_TEXT_DEPTH_MAX)
		return fail(reader, p);
	p = blanks(reader, p + 1);
	if (p < reader->end && *p == close)
		return p + 1;
	for (;;) {
		if (!(p = read_member(reader, p, object, depth + 1)))
			return NULL;
		p = blanks(reader, p);
		if (p < reader->end && *p == close)
			return p + 1;
		if (p == reader->end || *p != ',')
			return fail(reader, p);
		p = blanks(reader, p + 1);
	}
}

static const char *read_value(struct reader *reader, const char *p, unsigned depth)
{
	if (p == reader->end)
		return fail(reader, p);
	switch (*p) {
	case '{':
	case '[':
		return read_container(reader, p, depth);
	case '"':
		return read_string(reader, p);
	case 't':
		return read_word(reader, p, "true");
	case 'f':
		return read_word(reader, p, "false");
	case 'n':
		return read_word(reader, p, "null");
	default:
		return *p == '-' || is_digit(reader, p) ? read_number(reader, p) : fail(reader, p);
	}
}

int json_text_check(struct json_span *root, const char *text, size_t len, struct error *err)
{
	struct reader reader = { .end = text + len };
	const char *start = blanks(&reader, text);
	const char *end = read_value(&reader, start, 0);

	if (end && blanks(&reader, end) != reader.end)
		end = fail(&reader, blanks(&reader, end));
	if (!end)
		return error_set(err, ERROR_INVALID, "not JSON at byte %td%s", reader.bad - text,
				 reader.bad == reader.end ? " (it ends too early)" : "");
	*root = (struct json_span){ start, (size_t)(end - start) };
	return 0;
}

char json_span_type(struct json_span span)
{
	if (!span.at)
		return '\0';
	return *span.at == '-' || (*span.at >= '0' && *span.at <= '9') ? '0' : *span.at;
}

static unsigned read_hex4(const char *p)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 4 | (unsigned)nibble(p[i]);
	return v;
}

/* The code point of the escape whose 'u' is at *p, a surrogate pair taken together; *p ends on its last byte.  Half a
 * pair becomes the replacement character, as Go reads it. */
static uint32_t read_escape(const char **p, const char *end)
{
	uint32_t c = read_hex4(*p + 1);

	*p += 4;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c < 0xdc00 && end - *p > 6 && (*p)[1] == '\\' && (*p)[2] == 'u') {
		uint32_t low = read_hex4(*p + 3);
		if (low >= 0xdc00 && low <= 0xdfff) {
			*p += 6;
			return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return 0xfffd;
}

char *json_span_string(struct json_span span)
{
	static const char plain[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";

	if (json_span_type(span) != '"')
		return NULL;
	const char *end = span.at + span.len - 1;          /* the closing quote */
	char *string = mem_alloc(span.len), *out = string; /* no escape is shorter than what it stands for */
	for (const char *p = span.at + 1; p < end; p++) {
		uint32_t c = 1;
		if (*p != '\\')
			*out++ = *p;
		else if (*++p != 'u')
			*out++ = meaning[strchr(plain, *p) - plain];
		else if ((c = read_escape(&p, end)) != 0)
			out += utf8_put(out, c);
		if (c == 0 || *p == '\0') {
			free(string);
			return NULL;
		}
	}
	*out = '\0';
	return string;
}

bool json_span_is(struct json_span span, const char *string)
{
	__attribute__((cleanup(mem_freep))) char *value = json_span_string(span);

	return value && strcmp(value, string) == 0;
}

struct json_walk json_walk_in(struct json_span container)
{
	char type = json_span_type(container);
	struct json_walk walk = { .object = type == '{' };

	if (type == '{' || type == '[') {
		walk.next = container.at + 1;
		walk.end = container.at + container.len - 1;
	}
	return walk;
}

bool json_walk_next(struct json_walk *walk)
{
	struct reader reader = { .end = walk->end };
	const char *p = blanks(&reader, walk->next);

	if (p < walk->end && *p == ',')
		p = blanks(&reader, p + 1);
	if (p == walk->end)
		return false;
	if (walk->object) {
		const char *key_end = read_string(&reader, p);
		walk->key = (struct json_span){ p, (size_t)(key_end - p) };
		p = blanks(&reader, key_end); /* the colon */
		p = blanks(&reader, p + 1);
	}
	walk->next = read_value(&reader, p, 0);
	walk->value = (struct json_span){ p, (size_t)(walk->next - p) };
	return true;
}

char *json_text_cut(const char *text, size_t len, size_t max)
{
	if (len > max) {
		for (len = max; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
			;
	}
	char *copy = mem_dup_n(text, len);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)copy[i] < 0x20 || copy[i] == 0x7f)
			copy[i] = '?';
	}
	return copy;
}
