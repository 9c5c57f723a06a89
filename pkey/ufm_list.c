#include "pkey/ufm_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scan.h"
#include "pkey/ufm_member.h"

enum { MEMBER_MAX = 16 * 1024, ONE_MAX = 64 * 1024 * 1024, ALL_MAX = 512 * 1024 * 1024 };

/* The patterns: of a document that is itself the partition, and of one keyed by PKeys. */
enum { FLAT_GUIDS, FLAT_MEMBERSHIP, GUIDS, MEMBERSHIP };

struct ufm_list {
	struct scan *scan;
	struct pkey_list_sink sink;
	bool one;
	struct pkey only; /* if `one` */
	bool any_key;     /* the document is not {} */
	bool flat;        /* the document is itself the partition that was asked for */
	bool in_partition;
	bool seen_partition;
	struct pkey pkey;      /* in_partition: this one, */
	bool has_guids;        /* its members were there, perhaps none, */
	int listed_membership; /* and so was what it gives to everybody */
	size_t members, odd;
};

static void enter_partition(struct ufm_list *list, struct pkey pkey)
{
	list->in_partition = list->seen_partition = true;
	list->pkey = pkey;
	list->has_guids = false;
	list->listed_membership = -1;
}

static int leave_partition(struct ufm_list *list, struct error *err)
{
	if (!list->in_partition)
		return 0;
	list->in_partition = false;
	/* The management partition's members are everybody; some releases leave the empty list out. */
	if (!list->has_guids && list->pkey.v != PKEY_MANAGEMENT)
		return error_set(err, ERROR_RETRY, "PKey 0x%x is listed without its members", (unsigned)list->pkey.v);
	if (list->sink.partition)
		list->sink.partition(list->sink.aux, list->pkey, list->listed_membership);
	return 0;
}

/* "0x5", also padded and in any case.  The membership bit does not make it another partition. */
static bool read_key(struct pkey *out, const char *key)
{
	char *end;

	if (key[0] != '0' || (key[1] != 'x' && key[1] != 'X') || strspn(key + 2, "0123456789abcdefABCDEF") == 0)
		return false;
	unsigned long v = strtoul(key, &end, 16);
	if (*end != '\0' || v > 0xffff || (v & 0x7fff) == 0)
		return false;
	out->v = v & 0x7fff;
	return true;
}

static int begin_document(char first, struct error *err)
{
	if (first == '{')
		return 0;
	if (first == '<')
		return error_set(err, ERROR_RETRY, "a web page where the list must be");
	return error_set(err, ERROR_RETRY, first == '[' ? "an array where the list must be" : "no list");
}

static int enter_flat(struct ufm_list *list, struct error *err)
{
	if (!list->flat && list->seen_partition)
		return error_set(err, ERROR_RETRY, "a partition beside another");
	if (!list->flat)
		enter_partition(list, list->only);
	list->flat = true;
	return 0;
}

static int begin_keyed(struct ufm_list *list, const char *key, char first, struct error *err)
{
	struct pkey pkey;
	bool is_pkey = read_key(&pkey, key);

	if (!is_pkey && !list->one)
		return error_set(err, ERROR_RETRY, "\"%.64s\" stands where a PKey must", key);
	if (is_pkey && list->flat)
		return error_set(err, ERROR_RETRY, "a partition beside another");
	if (!list->flat && leave_partition(list, err) < 0)
		return -1;
	if (!is_pkey)
		return 0;
	if (first != '{')
		return error_set(err, ERROR_RETRY, "PKey %.16s is no object", key);
	if (list->one && pkey.v != list->only.v)
		return error_set(err, ERROR_RETRY, "the answer is about PKey %.16s", key);
	enter_partition(list, pkey);
	return 0;
}

static int begin_guids(struct ufm_list *list, char first, struct error *err)
{
	if (first != '[')
		return error_set(err, ERROR_RETRY, "the members of PKey 0x%x are no array", (unsigned)list->pkey.v);
	list->has_guids = true;
	return 0;
}

static int begin(void *aux, unsigned depth, const char *key, char first, struct error *err)
{
	struct ufm_list *list = aux;

	if (depth == 0)
		return begin_document(first, err);
	list->any_key = true;
	if (depth == 1 && list->one && strcmp(key, "guids") == 0)
		return enter_flat(list, err) < 0 ? -1 : begin_guids(list, first, err);
	if (depth == 1)
		return begin_keyed(list, key, first, err);
	if (depth == 2 && list->in_partition && !list->flat && key && strcmp(key, "guids") == 0)
		return begin_guids(list, first, err);
	return 0;
}

static int read_member(struct ufm_list *list, const struct scan_value *value, struct error *err)
{
	struct member member;
	bool odd = false;

	if (ufm_member_read(&member, &odd, value->json, value->len, err) < 0)
		return error_wrap(err, "PKey 0x%x", (unsigned)list->pkey.v);
	if (odd) {
		list->odd++;
		return 0;
	}
	list->members++;
	list->sink.member(list->sink.aux, list->pkey, &member);
	return 0;
}

static void read_membership(struct ufm_list *list, const struct scan_value *value)
{
	if (strcmp(value->json, "\"full\"") == 0)
		list->listed_membership = MEMBERSHIP_FULL;
	else if (strcmp(value->json, "\"limited\"") == 0)
		list->listed_membership = MEMBERSHIP_LIMITED;
}

static int read_value(void *aux, const struct scan_value *value, struct error *err)
{
	struct ufm_list *list = aux;
	bool flat = value->pattern <= FLAT_MEMBERSHIP;

	list->any_key = true;
	if (flat && !list->one)
		return error_set(err, ERROR_RETRY, "one partition where the list of all must be");
	if (flat && enter_flat(list, err) < 0)
		return -1;
	if (!list->in_partition || flat != list->flat)
		return 0;
	if (value->pattern == FLAT_GUIDS || value->pattern == GUIDS)
		return read_member(list, value, err);
	read_membership(list, value);
	return 0;
}

struct ufm_list *ufm_list_new(const struct pkey *only, const struct pkey_list_sink *sink)
{
	struct ufm_list *list = mem_alloc(sizeof *list);

	list->sink = *sink;
	list->one = only != NULL;
	if (only)
		list->only = *only;
	list->scan = scan_new(&(struct scan_options){
		.patterns = {
			[FLAT_GUIDS] = "guids/*",
			[FLAT_MEMBERSHIP] = "membership",
			[GUIDS] = "*/guids/*",
			[MEMBERSHIP] = "*/membership",
		},
		.max_value = MEMBER_MAX,
		.max_total = only ? ONE_MAX : ALL_MAX,
		.value = read_value,
		.begin = begin,
		.aux = list,
	});
	return list;
}

void ufm_list_free(struct ufm_list *list)
{
	if (!list)
		return;
	scan_free(list->scan);
	free(list);
}

/* What is no JSON now may be some later: a page of a proxy whose UFM is starting. */
static int failed(struct error *err)
{
	if (err->kind != ERROR_LIMIT)
		err->kind = ERROR_RETRY;
	return error_wrap(err, "not a whole list of PKeys");
}

int ufm_list_feed(struct ufm_list *list, const char *bytes, size_t n, struct error *err)
{
	return scan_feed(list->scan, bytes, n, err) < 0 ? failed(err) : 0;
}

int ufm_list_end(struct ufm_list *list, struct error *err)
{
	if (scan_end(list->scan, err) < 0 || leave_partition(list, err) < 0)
		return failed(err);
	if (list->one && list->any_key && !list->seen_partition)
		error_set(err, ERROR_RETRY, "an object that is no partition");
	else if (list->odd > 0 && list->members == 0)
		error_set(err, ERROR_RETRY, "none of its %zu GUIDs can be read", list->odd);
	else
		return 0;
	return failed(err);
}
