#include "pkey/partitions.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* OpenSM reads line by line; '#' ends a line; ';' cuts it into segments.  A segment outside of a definition begins with
 * the head "name=pkey,flag=value,... :"; what is left, and each later segment up to one that ends with ';', is a list of
 * ports.  Keywords match when they are the beginning of a word that OpenSM knows: "A" is ALL, "" is full. */

/* A piece of the text. */
struct slice {
	const char *at;
	size_t len;
};

struct reader {
	struct partitions *result;
	const char *text;
	unsigned line;
	enum partitions_refusal why;
	struct error *err;
	size_t cap, entries_cap;
	uint8_t level;            /* of ports that do not say it, in this definition */
	bool default_elsewhere;   /* a definition called Default that is not 0x7fff */
	unsigned default_by_name; /* the line of a definition without PKey called Default; 0: none */
};

enum { DEFAULT_PARTITION = 0x7fff, SHOWN_MAX = 64 };

static int refuse(struct reader *reader, enum partitions_refusal why, const char *text)
{
	reader->why = why;
	return error_set(reader->err, ERROR_INVALID, "line %u: %s", reader->line, text);
}

static int refuse_word(struct reader *reader, enum partitions_refusal why, const char *text, struct slice word)
{
	reader->why = why;
	return error_set(reader->err, ERROR_INVALID, "line %u: \"%.*s\": %s", reader->line,
			 word.len < SHOWN_MAX ? (int)word.len : SHOWN_MAX, word.at, text);
}

/* --- words --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice trim(struct slice slice)
{
	while (slice.len > 0 && is_blank(*slice.at)) {
		slice.at++;
		slice.len--;
	}
	while (slice.len > 0 && is_blank(slice.at[slice.len - 1]))
		slice.len--;
	return slice;
}

/* Takes what stands before the next `separator` off the front of *rest; false: there was none, and it was all of it. */
static bool take(struct slice *taken, struct slice *rest, char separator)
{
	const char *found = memchr(rest->at, separator, rest->len);

	taken->at = rest->at;
	taken->len = found ? (size_t)(found - rest->at) : rest->len;
	size_t used = taken->len + (found != NULL);
	rest->at += used;
	rest->len -= used;
	return found;
}

/* "name = value": has_value is false without a '='. */
struct pair {
	struct slice name, value;
	bool has_value;
};

static struct pair split(struct slice token)
{
	struct pair pair = { 0 };

	pair.has_value = take(&pair.name, &token, '=');
	pair.name = trim(pair.name);
	pair.value = trim(token);
	return pair;
}

/* OpenSM takes any beginning of a keyword for it, the empty one too. */
static bool begins(struct slice word, const char *keyword)
{
	return word.len <= strlen(keyword) && memcmp(word.at, keyword, word.len) == 0;
}

static bool equals(struct slice word, const char *text)
{
	return word.len == strlen(text) && memcmp(word.at, text, word.len) == 0;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* As strtoull() with base 0 reads it. */
enum number { NUMBER_FINE, NUMBER_NONE, NUMBER_ODD };

static enum number read_number(uint64_t *out, struct slice word, uint64_t most)
{
	int base = 10;

	*out = 0;
	if (word.len > 0 && (*word.at == '-' || *word.at == '+'))
		return NUMBER_ODD;
	if (word.len > 2 && word.at[0] == '0' && (word.at[1] == 'x' || word.at[1] == 'X')) {
		base = 16;
		word.at += 2;
		word.len -= 2;
	} else if (word.len > 1 && *word.at == '0') {
		base = 8;
	}
	bool fits = true;
	for (size_t i = 0; i < word.len; i++) {
		int digit = digit_of(word.at[i]);
		if (digit >= base)
			return NUMBER_NONE;
		fits = fits && *out <= (most - (uint64_t)digit) / (uint64_t)base;
		*out = *out * (uint64_t)base + (uint64_t)digit;
	}
	if (word.len == 0)
		return NUMBER_NONE;
	return fits ? NUMBER_FINE : NUMBER_ODD;
}

/* --- a definition's head --- */

static struct partitions_definition *last(const struct reader *reader)
{
	return &reader->result->definitions[reader->result->n - 1];
}

static void begin_definition(struct reader *reader, uint16_t pkey, const char *at)
{
	struct partitions *result = reader->result;

	if (result->n == reader->cap) {
		reader->cap = reader->cap ? 2 * reader->cap : 16;
		result->definitions = mem_resize(result->definitions, reader->cap, sizeof *result->definitions);
	}
	result->definitions[result->n++] = (struct partitions_definition){
		.pkey = pkey,
		.line = reader->line,
		.at = (size_t)(at - reader->text),
	};
	reader->entries_cap = 0;
	reader->level = PARTITIONS_LIMITED;
	result->open = true;
}

static int read_pkey(struct reader *reader, struct pair pair, uint16_t *pkey)
{
	static const char no_pkey[] = "a partition without a PKey: OpenSM picks one; write NAME=0xNNNN";
	struct slice id = pair.value;
	uint64_t number;

	*pkey = 0;
	if (!pair.has_value && pair.name.len > 0 && digit_of(*pair.name.at) < 10) {
		id = pair.name;
	} else if (!pair.has_value) {
		/* Found by its name, which it has from the start. */
		if (!equals(pair.name, "Default"))
			return refuse_word(reader, PARTITIONS_NO_PKEY, no_pkey, pair.name);
		*pkey = DEFAULT_PARTITION;
		reader->default_by_name = reader->line;
		return 0;
	}
	switch (read_number(&number, id, UINT16_MAX)) {
	case NUMBER_NONE:
		return refuse_word(reader, PARTITIONS_BAD_PKEY, "no PKey; 0x0001 to 0x7fff are", id);
	case NUMBER_ODD:
		return refuse_word(reader, PARTITIONS_ODD_NUMBER,
				   "OpenSM takes only 16 bits of this as the PKey; write 0x0001 to 0x7fff", id);
	case NUMBER_FINE:
		break;
	}
	*pkey = number & DEFAULT_PARTITION;
	if (!*pkey)
		return refuse_word(reader, PARTITIONS_NO_PKEY, no_pkey, id);
	if (*pkey != DEFAULT_PARTITION && equals(pair.name, "Default"))
		reader->default_elsewhere = true;
	return 0;
}

/* A flag of the multicast group is looked for before those of the partition. */
static bool is_group_flag(struct slice flag)
{
	static const char *const flags[] = { "mtu", "rate", "scope", "Q_Key", "TClass", "sl", "FlowLabel" };

	for (size_t i = 0; i < array_length(flags); i++)
		if (begins(flag, flags[i]))
			return true;
	return false;
}

static void read_flag(struct reader *reader, struct pair flag)
{
	if (is_group_flag(flag.name))
		return;
	if (begins(flag.name, "ipoib")) {
		last(reader)->ipoib = true;
	} else if (begins(flag.name, "indx0")) {
		last(reader)->index0 = true;
	} else if (begins(flag.name, "defmember") && flag.has_value) {
		if (begins(flag.value, "full"))
			reader->level = PARTITIONS_FULL;
		else if (begins(flag.value, "both"))
			reader->level = PARTITIONS_BOTH;
		else if (begins(flag.value, "limited"))
			reader->level = PARTITIONS_LIMITED;
	}
}

static int read_head(struct reader *reader, struct slice head)
{
	struct slice rest = head, token;
	uint16_t pkey;
	bool more = take(&token, &rest, ',');

	if (read_pkey(reader, split(token), &pkey) < 0)
		return -1;
	begin_definition(reader, pkey, head.at);
	while (more) {
		more = take(&token, &rest, ',');
		read_flag(reader, split(token));
	}
	return 0;
}

/* --- its ports --- */

static void add_entry(struct reader *reader, struct partitions_entry entry)
{
	struct partitions_definition *definition = last(reader);

	if (definition->n == reader->entries_cap) {
		reader->entries_cap = reader->entries_cap ? 2 * reader->entries_cap : 8;
		definition->entries = mem_resize(definition->entries, reader->entries_cap, sizeof *definition->entries);
	}
	definition->entries[definition->n++] = entry;
}

static uint8_t level_of(const struct reader *reader, struct pair port)
{
	if (!port.has_value)
		return reader->level;
	if (begins(port.value, "full"))
		return PARTITIONS_FULL;
	return begins(port.value, "both") ? PARTITIONS_BOTH : PARTITIONS_LIMITED;
}

static bool read_keyword(struct slice name, uint8_t *who)
{
	static const struct {
		const char *name;
		enum partitions_who who;
	} keywords[] = {
		{ "ALL", PARTITIONS_ALL },
		{ "ALL_CAS", PARTITIONS_ALL_CAS },
		{ "ALL_SWITCHES", PARTITIONS_ALL_SWITCHES },
		{ "ALL_ROUTERS", PARTITIONS_ALL_ROUTERS },
		{ "SELF", PARTITIONS_SELF },
	};

	for (size_t i = 0; i < array_length(keywords); i++)
		if (begins(name, keywords[i].name)) {
			*who = (uint8_t)keywords[i].who;
			return true;
		}
	return false;
}

static int read_port(struct reader *reader, struct pair port)
{
	struct partitions_entry entry = { .level = level_of(reader, port), .who = PARTITIONS_PORT };

	if (begins(port.name, "NONE")) /* the empty name too */
		return 0;
	if (!read_keyword(port.name, &entry.who)) {
		enum number kind = read_number(&entry.guid.v, port.name, UINT64_MAX);
		if (kind == NUMBER_ODD)
			return refuse_word(reader, PARTITIONS_ODD_NUMBER,
					   "OpenSM takes only 64 bits of this as the GUID; write 0x and 16 digits",
					   port.name);
		if (kind == NUMBER_NONE || entry.guid.v == 0)
			return refuse_word(reader, PARTITIONS_BAD_PORT,
					   "no port; a GUID (0x and 16 digits), ALL, ALL_CAS, ALL_SWITCHES, "
					   "ALL_ROUTERS, SELF or NONE is",
					   port.name);
	}
	add_entry(reader, entry);
	return 0;
}

static bool is_multicast(struct slice gid)
{
	char text[INET6_ADDRSTRLEN + 1];
	struct in6_addr address;

	if (gid.len >= sizeof text)
		return false;
	memcpy(text, gid.at, gid.len);
	text[gid.len] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1 && address.s6_addr[0] == 0xff;
}

static int read_ports(struct reader *reader, struct slice list)
{
	struct slice token;
	bool more;

	do {
		more = take(&token, &list, ',');
		struct pair port = split(token);
		if (equals(port.name, "mgid")) {
			if (!port.has_value || !is_multicast(port.value) || !more)
				return refuse_word(reader, PARTITIONS_MGID,
						   "mgid= wants a multicast GID and at least one flag behind it "
						   "(\",mtu=4\"), or OpenSM reads on behind its end",
						   port.value);
			return 0; /* all that follows are its flags */
		}
		if (memchr(token.at, ':', token.len))
			return refuse_word(reader, PARTITIONS_COLON,
					   "a ':' among ports: the definition before it has no ';'", trim(token));
		if (read_port(reader, port) < 0)
			return -1;
	} while (more);
	return 0;
}

/* --- lines --- */

static int read_segment(struct reader *reader, struct slice segment)
{
	struct slice head;

	if (!reader->result->open) {
		if (!take(&head, &segment, ':'))
			return refuse_word(reader, PARTITIONS_NO_DEFINITION,
					   "no partition: the first line of one has a ':' (\"NAME=0xNNNN : ...\")",
					   trim(segment.len ? segment : head));
		if (read_head(reader, head) < 0)
			return -1;
	}
	return read_ports(reader, segment);
}

static int check_line(struct reader *reader, struct slice line, size_t whole)
{
	if (whole > PARTITIONS_LINE_MAX)
		return refuse(
			reader, PARTITIONS_LONG_LINE,
			"longer than 4094 bytes: OpenSM cuts it there and reads the rest as another line; write one "
			"GUID a line");
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.at[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return refuse(reader, PARTITIONS_CONTROL,
				      c == '\r' ? "a carriage return: write Unix line ends"
						: "a control character; blank, tab and line feed are fine");
	}
	return 0;
}

static int read_line(struct reader *reader, struct slice line, size_t whole)
{
	const char *comment = memchr(line.at, '#', line.len);

	if (memchr(line.at, '\0', line.len))
		return refuse(reader, PARTITIONS_CONTROL, "a NUL: OpenSM reads the line up to there only");
	if (comment)
		line.len = (size_t)(comment - line.at);
	if (check_line(reader, line, whole) < 0)
		return -1;
	for (;;) {
		struct slice segment;

		while (line.len > 0 && is_blank(*line.at)) {
			line.at++;
			line.len--;
		}
		if (line.len == 0)
			return 0;
		bool ends = take(&segment, &line, ';');
		if (segment.len == 0)
			return refuse(reader, PARTITIONS_BARE_SEMICOLON,
				      "a ';' with nothing before it on its line: put it behind the last port");
		if (read_segment(reader, segment) < 0)
			return -1;
		last(reader)->end = (size_t)(segment.at + segment.len + ends - reader->text);
		if (ends)
			reader->result->open = false;
	}
}

static int read_lines(struct reader *reader, size_t len)
{
	const char *at = reader->text, *end = at + len;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((newline ? newline : end) - at), whole = length + (newline != NULL);

		reader->line++;
		if (read_line(reader, (struct slice){ at, length }, whole) < 0)
			return -1;
		at += whole;
	}
	if (reader->result->n == 0)
		return refuse(reader, PARTITIONS_EMPTY,
			      "the file holds no partition: OpenSM would open the fabric; add \"Default=0x7fff,ipoib : "
			      "ALL=limited, SELF=full ;\"");
	if (reader->default_by_name && reader->default_elsewhere) {
		reader->line = reader->default_by_name;
		return refuse(
			reader, PARTITIONS_NO_PKEY,
			"Default without a PKey, and another partition is called Default too; write Default=0x7fff");
	}
	return 0;
}

int partitions_parse(struct partitions **ret, const char *text, size_t len, enum partitions_refusal *why,
		     struct error *err)
{
	struct reader reader = { .text = text, .err = err, .result = mem_alloc(sizeof *reader.result) };
	int result;

	if (len > PARTITIONS_TEXT_MAX) {
		reader.why = PARTITIONS_TOO_LARGE;
		result = error_set(err, ERROR_INVALID, "more than %d bytes", PARTITIONS_TEXT_MAX);
	} else {
		result = read_lines(&reader, len);
	}
	if (why)
		*why = reader.why;
	if (result < 0) {
		partitions_free(reader.result);
		return -1;
	}
	*ret = reader.result;
	return 0;
}

void partitions_free(struct partitions *partitions)
{
	if (!partitions)
		return;
	for (size_t i = 0; i < partitions->n; i++)
		free(partitions->definitions[i].entries);
	free(partitions->definitions);
	free(partitions);
}

static bool entry_names(const struct partitions_entry *entry, const struct partitions_port *port)
{
	switch ((enum partitions_who)entry->who) {
	case PARTITIONS_PORT:
		return entry->guid.v == port->guid.v;
	case PARTITIONS_SELF:
		return port->is_sm;
	case PARTITIONS_ALL:
		return true;
	case PARTITIONS_ALL_CAS:
		return port->kind == PARTITIONS_CA;
	case PARTITIONS_ALL_SWITCHES:
		return port->kind == PARTITIONS_SWITCH;
	case PARTITIONS_ALL_ROUTERS:
		return port->kind == PARTITIONS_ROUTER;
	}
	return false;
}

bool partitions_member(const struct partitions *partitions, uint16_t pkey, const struct partitions_port *port,
		       enum membership *membership)
{
	bool found = pkey == DEFAULT_PARTITION;

	*membership = found && port->is_sm ? MEMBERSHIP_FULL : MEMBERSHIP_LIMITED;
	for (size_t i = 0; i < partitions->n; i++) {
		const struct partitions_definition *definition = &partitions->definitions[i];
		for (size_t j = 0; definition->pkey == pkey && j < definition->n; j++) {
			if (!entry_names(&definition->entries[j], port))
				continue;
			found = true;
			*membership = definition->entries[j].level == PARTITIONS_LIMITED ? MEMBERSHIP_LIMITED
											 : MEMBERSHIP_FULL;
		}
	}
	return found;
}
