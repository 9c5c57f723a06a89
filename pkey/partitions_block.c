#include "pkey/partitions_block.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BEGIN        "# BEGIN ufmsync"
#define END          "# END ufmsync"
#define BEGIN_LINE   BEGIN ": written by ufmsyncd; what is changed between these two lines is lost\n"
#define END_LINE     END "\n"
#define DEFAULT_RULE "Default=0x7fff,ipoib : ALL=limited, SELF=full ;"

enum { DEFAULT_PARTITION = 0x7fff };

/* Where our part stands: the bytes from its BEGIN to behind its END; at == end when there is none. */
struct block {
	size_t at, end;
	unsigned lines;
	bool present;
};

static bool is_marker(const char *line, size_t len, const char *marker)
{
	size_t n = strlen(marker);

	return len >= n && memcmp(line, marker, n) == 0 && (len == n || line[n] == ':' || line[n] == ' ');
}

static int misplaced(struct error *err, unsigned line, const char *what)
{
	return error_set(err, ERROR_INVALID,
			 "line %u: %s; our part is between one line \"" BEGIN "\" and one \"" END
			 "\": put them back in order, or remove both and what is between them",
			 line, what);
}

static int find_block(struct block *block, const char *text, size_t len, struct error *err)
{
	unsigned line = 0, first = 0;
	bool ended = false;

	*block = (struct block){ .at = len, .end = len };
	for (size_t at = 0, next; at < len; at = next) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t length = newline ? (size_t)(newline - (text + at)) : len - at;
		next = at + length + (newline != NULL);
		line++;
		if (is_marker(text + at, length, BEGIN)) {
			if (first)
				return misplaced(err, line, "a second BEGIN");
			first = line;
			block->at = at;
		} else if (is_marker(text + at, length, END)) {
			if (!first || ended)
				return misplaced(err, line, first ? "a second END" : "an END without a BEGIN");
			ended = true;
			block->end = next;
			block->lines = line - first + 1;
		}
	}
	if (first && !ended)
		return misplaced(err, first, "a BEGIN without an END");
	block->present = first;
	return 0;
}

/* The text with our part as empty lines: what the operator wrote, with the lines where they stand in the file. */
static char *without_block(const char *text, size_t *len, const struct block *block)
{
	size_t behind = *len - block->end;
	char *result = mem_dup_n(text, *len);

	memset(result + block->at, '\n', block->lines);
	memmove(result + block->at + block->lines, text + block->end, behind);
	*len = block->at + block->lines + behind;
	return result;
}

/* --- what the operator's part must be --- */

static int check_claims(const struct partitions *foreign, const struct partitions_ours *ours, size_t n,
			struct error *err)
{
	bool is_ours[PKEY_COUNT] = { false };

	for (size_t i = 0; i < n; i++)
		is_ours[ours[i].pkey.v] = true;
	for (size_t i = 0; i < foreign->n; i++)
		if (is_ours[foreign->definitions[i].pkey])
			return error_set(
				err, ERROR_INVALID,
				"line %u: PKey 0x%04x is defined here, outside of our part, and a network asks "
				"for it; remove the definition, or keep the PKey out of UFM_PKEY_RANGE",
				foreign->definitions[i].line, foreign->definitions[i].pkey);
	return 0;
}

static int check_foreign(const struct partitions *foreign, size_t block_at, struct error *err)
{
	bool has_default = false;

	for (size_t i = 0; i < foreign->n; i++) {
		const struct partitions_definition *definition = &foreign->definitions[i];
		bool open = foreign->open && i + 1 == foreign->n;
		has_default = has_default || definition->pkey == DEFAULT_PARTITION;
		if (definition->at < block_at && (definition->end > block_at || open))
			return error_set(err, ERROR_INVALID,
					 "line %u: this definition has no ';' before our part begins, which would "
					 "become part of it; add one",
					 definition->line);
	}
	if (!has_default)
		return error_set(err, ERROR_INVALID,
				 "no definition of the default partition, and none is invented; add a line that says "
				 "who may do what in it, usually \"" DEFAULT_RULE "\"");
	return 0;
}

/* --- our part --- */

static void append_ours(struct buf *out, const struct partitions_ours *ours)
{
	const struct member *member;
	size_t at = 0, left = members_count(ours->members);

	if (left == 0)
		return;
	buf_printf(out, "ufmsync_%04x=0x%04x%s%s :\n", ours->pkey.v, ours->pkey.v, ours->ipoib ? ",ipoib" : "",
		   ours->index0 ? ",indx0" : "");
	while ((member = members_next(ours->members, &at)))
		buf_printf(out, "0x%016" PRIx64 "=%s%s\n", member->guid.v, membership_name(member->membership),
			   --left ? "," : " ;");
}

static bool same_members(const struct partitions_definition *definition, const struct partitions_ours *ours)
{
	const struct member *member;
	size_t at = 0, i = 0;

	if (definition->pkey != ours->pkey.v || definition->n != members_count(ours->members) ||
	    definition->ipoib != ours->ipoib || definition->index0 != ours->index0)
		return false;
	while ((member = members_next(ours->members, &at))) {
		const struct partitions_entry *entry = &definition->entries[i++];
		if (entry->who != PARTITIONS_PORT || entry->guid.v != member->guid.v ||
		    entry->level != (member->membership == MEMBERSHIP_FULL ? PARTITIONS_FULL : PARTITIONS_LIMITED))
			return false;
	}
	return true;
}

static bool same_definition(const struct partitions_definition *a, const struct partitions_definition *b)
{
	if (a->pkey != b->pkey || a->ipoib != b->ipoib || a->index0 != b->index0 || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->entries[i].guid.v != b->entries[i].guid.v || a->entries[i].who != b->entries[i].who ||
		    a->entries[i].level != b->entries[i].level)
			return false;
	return true;
}

/* The whole new file must say what the operator's part said, and ours, and nothing else. */
static bool reads_back(const struct partitions *result, const struct partitions *foreign, size_t block_at,
		       const struct partitions_ours *ours, size_t n)
{
	size_t at = 0, of_foreign = 0;

	for (; of_foreign < foreign->n && foreign->definitions[of_foreign].at < block_at; of_foreign++, at++)
		if (at >= result->n || !same_definition(&result->definitions[at], &foreign->definitions[of_foreign]))
			return false;
	for (size_t i = 0; i < n; i++)
		if (members_count(ours[i].members) > 0) {
			if (at >= result->n || !same_members(&result->definitions[at], &ours[i]))
				return false;
			at++;
		}
	for (; of_foreign < foreign->n; of_foreign++, at++)
		if (at >= result->n || !same_definition(&result->definitions[at], &foreign->definitions[of_foreign]))
			return false;
	return at == result->n && result->open == foreign->open;
}

static int check_result(const struct buf *out, const struct partitions *foreign, size_t block_at,
			const struct partitions_ours *ours, size_t n, struct error *err)
{
	struct partitions *result;

	if (out->full)
		return error_set(err, ERROR_LIMIT, "the new file would have more than %zu bytes", out->max);
	if (partitions_parse(&result, out->data, out->len, NULL, err) < 0)
		return error_wrap(err, "what would be written");
	bool good = reads_back(result, foreign, block_at, ours, n);
	partitions_free(result);
	return good ? 0 : error_set(err, ERROR_INVALID, "what would be written does not read back as it was meant");
}

static void compose(struct buf *out, const char *text, size_t len, const struct block *block,
		    const struct partitions_ours *ours, size_t n)
{
	buf_append(out, text, block->at);
	if (block->at > 0 && text[block->at - 1] != '\n')
		buf_text(out, "\n");
	buf_text(out, BEGIN_LINE);
	for (size_t i = 0; i < n; i++)
		append_ours(out, &ours[i]);
	buf_text(out, END_LINE);
	buf_append(out, text + block->end, len - block->end);
}

int partitions_replace(struct buf *out, const char *text, size_t len, const struct partitions_ours *ours, size_t n,
		       struct error *err)
{
	struct block block;
	struct partitions *foreign;

	if (find_block(&block, text, len, err) < 0)
		return -1;
	size_t foreign_len = len;
	__attribute__((cleanup(mem_freep))) char *foreign_text = without_block(text, &foreign_len, &block);
	if (partitions_parse(&foreign, foreign_text, foreign_len, NULL, err) < 0)
		return -1;
	int result = check_foreign(foreign, block.at, err);
	if (result == 0)
		result = check_claims(foreign, ours, n, err);
	if (result == 0) {
		compose(out, text, len, &block, ours, n);
		result = check_result(out, foreign, block.at, ours, n, err);
	}
	partitions_free(foreign);
	if (result < 0)
		buf_clear(out);
	return result;
}

/* --- reading it --- */

static int check_entry(const struct partitions_definition *definition, const struct partitions_entry *entry,
		       struct error *err)
{
	if (entry->who == PARTITIONS_PORT && entry->level != PARTITIONS_BOTH && guid_usable(entry->guid) &&
	    definition->pkey != DEFAULT_PARTITION)
		return 0;
	return error_set(
		err, ERROR_INVALID,
		"the partition 0x%04x in our part has been changed by somebody else: we write GUIDs only, full or "
		"limited",
		definition->pkey);
}

/* Our PKeys are defined by our part alone; else the last entry of a port wins, and what our part says need not be so. */
static int check_alone(const char *text, size_t len, const struct block *block, const struct partitions *found,
		       struct error *err)
{
	struct partitions *foreign;
	enum partitions_refusal why;
	size_t foreign_len = len;
	__attribute__((cleanup(mem_freep))) char *foreign_text = without_block(text, &foreign_len, block);

	if (partitions_parse(&foreign, foreign_text, foreign_len, &why, err) < 0)
		return why == PARTITIONS_EMPTY ? 0 : -1;
	struct partitions_ours *ours = mem_array(found->n, sizeof *ours);
	for (size_t i = 0; i < found->n; i++)
		ours[i].pkey.v = found->definitions[i].pkey;
	int result = check_claims(foreign, ours, found->n, err);
	free(ours);
	partitions_free(foreign);
	return result;
}

int partitions_each_of_ours(const char *text, size_t len,
			    void (*each)(void *aux, struct pkey pkey, const struct member *member), void *aux,
			    struct error *err)
{
	struct block block;
	struct partitions *ours;
	enum partitions_refusal why;
	int result = 0;

	if (find_block(&block, text, len, err) < 0)
		return -1;
	if (!block.present)
		return 0;
	if (partitions_parse(&ours, text + block.at, block.end - block.at, &why, err) < 0)
		return why == PARTITIONS_EMPTY ? 0 : error_wrap(err, "our part");
	result = check_alone(text, len, &block, ours, err);
	for (size_t i = 0; i < ours->n && result == 0; i++)
		for (size_t j = 0; j < ours->definitions[i].n && result == 0; j++)
			result = check_entry(&ours->definitions[i], &ours->definitions[i].entries[j], err);
	for (size_t i = 0; i < ours->n && result == 0; i++) {
		const struct partitions_definition *definition = &ours->definitions[i];
		for (size_t j = 0; j < definition->n; j++)
			each(aux, (struct pkey){ definition->pkey },
			     &(struct member){ definition->entries[j].guid,
					       definition->entries[j].level == PARTITIONS_FULL ? MEMBERSHIP_FULL
											       : MEMBERSHIP_LIMITED,
					       definition->index0 });
	}
	partitions_free(ours);
	return result;
}
