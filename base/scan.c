#include "base/scan.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/scan_private.h"

enum event {
	MORE,     /* all bytes are used up */
	WANTED,   /* stands before a wanted value */
	COMPLETE, /* stands behind the wanted value */
	FAILED,   /* the byte it stands before is an error: scan->error */
};

static enum event failed(struct scan *scan, const char *at, const char *base, const char *expected)
{
	error_set(&scan->error, ERROR_INVALID, "not JSON: byte %" PRIu64 " is 0x%02x where %s must come",
		  scan->offset + (uint64_t)(at - base), (unsigned)(unsigned char)*at, expected);
	return FAILED;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* The first quote, backslash or control character.  Eight bytes at a time: a byte's top bit comes out set where the
 * byte equals, or is less than, what is looked for; false alarms are possible only above a true one. */
static const char *skip_plain(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;

	for (; end - p >= 8; p += 8) {
		uint64_t word;
		memcpy(&word, p, 8);
		word = le64toh(word);
		uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
		uint64_t found = (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
				  ((word - ones * 0x20) & ~word)) &
				 tops;
		if (found)
			return p + __builtin_ctzll(found) / 8;
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
		p++;
	return p;
}

static void open_container(struct scan *scan, bool object)
{
	if (scan->depth < SCAN_STEPS_MAX)
		scan->live[scan->depth] = scan->next;
	scan->objects[scan->depth / 64] &= ~(UINT64_C(1) << scan->depth % 64);
	scan->objects[scan->depth / 64] |= (uint64_t)object << scan->depth % 64;
	scan->depth++;
	scan->state = object ? KEY_OR_CLOSE : ELEMENT_OR_CLOSE;
}

/* True when it was the wanted one. */
static bool end_value(struct scan *scan)
{
	scan->state = scan->depth > 0 ? AFTER : BETWEEN;
	return scan->open && scan->depth == scan->wanted_depth;
}

static bool close_container(struct scan *scan)
{
	scan->depth--;
	return end_value(scan);
}

static enum event string_body(struct scan *scan, const char **p, const char *end, const char *base)
{
	const char *from = *p, *at = skip_plain(from, end);
	bool key_ends = false;

	*p = at;
	if (at < end) {
		if ((unsigned char)*at < 0x20)
			return failed(scan, at, base, "no control character");
		++*p;
		if (*at == '\\')
			scan->state = ESCAPE;
		else if (!scan->in_key)
			return end_value(scan) ? COMPLETE : MORE;
		else
			key_ends = true;
	}
	if (scan->in_key && scan->key_kept)
		buf_append(&scan->key, from, (size_t)(*p - key_ends - from));
	if (!key_ends)
		return MORE;
	scan->state = COLON;
	return scan->key_kept && scan_end_key(scan) < 0 ? FAILED : MORE;
}

static int tell_begin(struct scan *scan, char first)
{
	bool has_key = scan->depth > 0 && scan_is_object(scan, scan->depth - 1);

	return scan->options.begin(scan->options.aux, scan->depth, has_key ? scan->stars[scan->depth - 1] : NULL, first,
				   &scan->error);
}

static enum event begin_value(struct scan *scan, const char **p, const char *end, const char *base)
{
	uint8_t hit = scan->depth <= SCAN_STEPS_MAX ? scan->next & scan->ending[scan->depth] : 0;
	char c = **p;

	if (hit) {
		scan->next = 0;
		scan->wanted = (unsigned)__builtin_ctz(hit);
		return WANTED;
	}
	if (scan->next && scan->options.begin && tell_begin(scan, c) < 0)
		return FAILED;
	switch (c) {
	case '{':
	case '[':
		if (scan->depth == scan->options.max_depth) {
			error_set(&scan->error, ERROR_LIMIT, "JSON deeper than %u levels", scan->options.max_depth);
			return FAILED;
		}
		open_container(scan, c == '{');
		break;
	case '"':
		scan->in_key = false;
		scan->state = STRING;
		++*p;
		return string_body(scan, p, end, base);
	case 't':
	case 'f':
	case 'n':
		scan->literal = c == 't' ? "rue" : c == 'f' ? "alse" : "ull";
		scan->state = LITERAL;
		break;
	case '-':
		scan->state = NUMBER_MINUS;
		break;
	case '0':
		scan->state = NUMBER_ZERO;
		break;
	default:
		if (c < '1' || c > '9')
			return failed(scan, *p, base, "a value");
		scan->state = NUMBER_INTEGER;
	}
	++*p;
	return MORE;
}

static enum event escape(struct scan *scan, const char **p, const char *base)
{
	char c = **p;

	if (scan->state == ESCAPE) {
		if (c != '"' && c != '\\' && c != '/' && c != 'b' && c != 'f' && c != 'n' && c != 'r' && c != 't' &&
		    c != 'u')
			return failed(scan, *p, base, "an escape");
		scan->state = c == 'u' ? HEX : STRING;
		scan->hex_left = 4;
	} else {
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return failed(scan, *p, base, "a hexadecimal digit");
		if (--scan->hex_left == 0)
			scan->state = STRING;
	}
	if (scan->in_key && scan->key_kept)
		buf_append(&scan->key, *p, 1);
	++*p;
	return MORE;
}

static enum event literal(struct scan *scan, const char **p, const char *base)
{
	if (**p != *scan->literal)
		return failed(scan, *p, base, "the rest of true, false or null");
	++*p;
	if (*++scan->literal)
		return MORE;
	return end_value(scan) ? COMPLETE : MORE;
}

static bool number_may_end(const struct scan *scan)
{
	return scan->state == NUMBER_ZERO || scan->state == NUMBER_INTEGER || scan->state == NUMBER_FRACTION ||
	       scan->state == NUMBER_EXPONENT;
}

/* A number ends before the first byte that is none of it, which is left for the next state.  That must be one that may
 * stand behind a value, or two documents could share a run of digits ("01"). */
static enum event number_end(struct scan *scan, const char **p, const char *base)
{
	char c = **p;

	if (!number_may_end(scan))
		return failed(scan, *p, base, "the rest of a number");
	if (c != ',' && c != '}' && c != ']' && c != ' ' && c != '\n' && c != '\r' && c != '\t')
		return failed(scan, *p, base, "the end of a number");
	return end_value(scan) ? COMPLETE : MORE;
}

static enum event number(struct scan *scan, const char **p, const char *end, const char *base)
{
	char c = **p;
	bool digit = c >= '0' && c <= '9';

	switch (scan->state) {
	case NUMBER_MINUS:
		if (!digit)
			return number_end(scan, p, base);
		scan->state = c == '0' ? NUMBER_ZERO : NUMBER_INTEGER;
		break;
	case NUMBER_ZERO:
	case NUMBER_INTEGER:
		if (scan->state == NUMBER_INTEGER && digit)
			break;
		if (c != '.' && c != 'e' && c != 'E')
			return number_end(scan, p, base);
		scan->state = c == '.' ? NUMBER_DOT : NUMBER_E;
		++*p;
		return MORE;
	case NUMBER_DOT:
	case NUMBER_FRACTION:
		if (digit) {
			scan->state = NUMBER_FRACTION;
			break;
		}
		if (scan->state == NUMBER_DOT || (c != 'e' && c != 'E'))
			return number_end(scan, p, base);
		scan->state = NUMBER_E;
		++*p;
		return MORE;
	case NUMBER_E:
		if (c == '+' || c == '-') {
			scan->state = NUMBER_SIGN;
			++*p;
			return MORE;
		}
		/* fall through */
	default:
		if (!digit)
			return number_end(scan, p, base);
		scan->state = NUMBER_EXPONENT;
	}
	*p = scan->state == NUMBER_ZERO ? *p + 1 : skip_digits(*p, end);
	return MORE;
}

static enum event after_value(struct scan *scan, const char **p, const char *base)
{
	bool object = scan_is_object(scan, scan->depth - 1);
	char c = **p;

	if (c == ',') {
		++*p;
		scan->state = object ? KEY : VALUE;
		if (!object)
			scan_begin_element(scan);
		return MORE;
	}
	if (c != (object ? '}' : ']'))
		return failed(scan, *p, base, object ? "',' or '}'" : "',' or ']'");
	++*p;
	return close_container(scan) ? COMPLETE : MORE;
}

static enum event key(struct scan *scan, const char **p, const char *end, const char *base)
{
	if (**p == '}' && scan->state == KEY_OR_CLOSE) {
		++*p;
		return close_container(scan) ? COMPLETE : MORE;
	}
	if (**p != '"')
		return failed(scan, *p, base, scan->state == KEY ? "a key" : "a key or '}'");
	++*p;
	scan_begin_key(scan);
	scan->in_key = true;
	scan->state = STRING;
	return string_body(scan, p, end, base);
}

static enum event element_or_close(struct scan *scan, const char **p)
{
	if (**p == ']') {
		++*p;
		return close_container(scan) ? COMPLETE : MORE;
	}
	scan_begin_element(scan);
	scan->state = VALUE;
	return MORE;
}

static enum event colon(struct scan *scan, const char **p, const char *base)
{
	if (**p != ':')
		return failed(scan, *p, base, "':'");
	++*p;
	scan->state = VALUE;
	return MORE;
}

static enum event begin_document(struct scan *scan, const char **p, const char *base)
{
	if (scan->documents > 0 && !scan->options.many)
		return failed(scan, *p, base, "the end");
	scan->documents++;
	scan->next = scan->all;
	scan->state = VALUE;
	return MORE;
}

static enum event step(struct scan *scan, const char **p, const char *end, const char *base)
{
	if (scan->state <= AFTER) {
		*p = skip_blanks(*p, end);
		if (*p == end)
			return MORE;
	}
	switch (scan->state) {
	case BETWEEN:
		return begin_document(scan, p, base);
	case VALUE:
		return begin_value(scan, p, end, base);
	case ELEMENT_OR_CLOSE:
		return element_or_close(scan, p);
	case KEY_OR_CLOSE:
	case KEY:
		return key(scan, p, end, base);
	case COLON:
		return colon(scan, p, base);
	case AFTER:
		return after_value(scan, p, base);
	case STRING:
		return string_body(scan, p, end, base);
	case ESCAPE:
	case HEX:
		return escape(scan, p, base);
	case LITERAL:
		return literal(scan, p, base);
	default:
		return number(scan, p, end, base);
	}
}

/* --- feeding ---------------------------------------------------------------------------------------------------- */

static int feed(struct scan *scan, const char *bytes, size_t n)
{
	const char *p = bytes, *end = bytes + n;

	while (p < end) {
		const char *from = p, *stop = end;
		bool open = scan->open;
		enum event event = MORE;
		/* One byte more than is allowed: a number of just the allowed length ends only at the byte behind it. */
		if (open && (size_t)(end - p) > scan->options.max_value + 1 - scan->value.len)
			stop = p + (scan->options.max_value + 1 - scan->value.len);
		while (event == MORE && p < stop)
			event = step(scan, &p, stop, bytes);
		if (open)
			buf_append(&scan->value, from, (size_t)(p - from));
		if (event == FAILED)
			return -1;
		if (event == COMPLETE && scan_deliver(scan) < 0)
			return -1;
		if (event == WANTED) {
			scan->open = true;
			scan->wanted_depth = scan->depth;
		}
		if (scan->open && scan->value.len > scan->options.max_value)
			return error_set(&scan->error, ERROR_LIMIT, "a value of more than %zu bytes",
					 scan->options.max_value);
	}
	scan->offset += n;
	return 0;
}

static int result(const struct scan *scan, struct error *err)
{
	if (!scan->failed)
		return 0;
	*err = scan->error;
	return -1;
}

int scan_feed(struct scan *scan, const char *bytes, size_t n, struct error *err)
{
	size_t max = scan->options.max_total, allowed = n;

	assert(!scan->ended);
	if (max > 0 && n > max - scan->offset)
		allowed = max - scan->offset;
	if (!scan->failed)
		scan->failed = feed(scan, bytes, allowed) < 0;
	if (!scan->failed && allowed < n) {
		error_set(&scan->error, ERROR_LIMIT, "more than %zu bytes of JSON", max);
		scan->failed = true;
	}
	return result(scan, err);
}

static int finish(struct scan *scan)
{
	/* Only the end of the input ends a document that is a number. */
	if (scan->depth == 0 && number_may_end(scan) && end_value(scan) && scan_deliver(scan) < 0)
		return -1;
	if (scan->state != BETWEEN)
		return error_set(&scan->error, ERROR_RETRY, "JSON cut off after %" PRIu64 " bytes", scan->offset);
	if (scan->documents == 0 && !scan->options.many)
		return error_set(&scan->error, ERROR_RETRY, "no JSON at all");
	return 0;
}

int scan_end(struct scan *scan, struct error *err)
{
	if (!scan->failed && !scan->ended)
		scan->failed = finish(scan) < 0;
	scan->ended = true;
	return result(scan, err);
}
