/* UFM's list of PKeys.  The first byte chooses one PKey or all; any cut of the rest must say the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "pkey/ufm_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	uint64_t hash;
	size_t partitions;
};

static void mix(struct heard *heard, uint64_t v)
{
	heard->hash = (heard->hash ^ v) * 0x100000001b3;
}

static void member(void *aux, struct pkey pkey, const struct member *m)
{
	mix(aux, pkey.v);
	mix(aux, m->guid.v);
	mix(aux, (uint64_t)m->membership * 2 + m->index0);
}

static void partition(void *aux, struct pkey pkey, int listed_membership)
{
	struct heard *heard = aux;

	assert(pkey.v >= PKEY_FIRST && pkey.v <= PKEY_MANAGEMENT);
	mix(heard, pkey.v);
	mix(heard, (uint64_t)(listed_membership + 1));
	heard->partitions++;
}

static int read_list(struct heard *heard, const struct pkey *only, const char *bytes, size_t n, size_t piece)
{
	struct pkey_list_sink sink = { .member = member, .partition = partition, .aux = heard };
	struct ufm_list *list = ufm_list_new(only, &sink);
	struct error err;
	int ret = 0;

	for (size_t at = 0; at < n && ret == 0; at += piece)
		ret = ufm_list_feed(list, bytes + at, n - at < piece ? n - at : piece, &err);
	if (ret == 0)
		ret = ufm_list_end(list, &err);
	ufm_list_free(list);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pkey five = { 5 };
	struct heard whole = { 0 }, pieces = { 0 };

	if (size == 0)
		return 0;
	const struct pkey *only = data[0] == '1' ? &five : NULL;
	const char *bytes = (const char *)data + 1;
	int a = read_list(&whole, only, bytes, size - 1, size), b = read_list(&pieces, only, bytes, size - 1, 3);
	assert(a == b && whole.hash == pieces.hash && whole.partitions == pieces.partitions);
	assert(a < 0 || !only || whole.partitions <= 2);
	return 0;
}
