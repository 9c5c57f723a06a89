#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pkey/partitions_block.h"

/* Any file: what is read stays inside of it; what our part is put into still says what it said, and gives our members
 * back; and doing it again changes nothing. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *aux, struct pkey pkey, const struct member *member)
{
	size_t *n = aux;

	assert(pkey.v == 0x6aaa && guid_usable(member->guid));
	++*n;
}

static void replace(const char *text, size_t len)
{
	struct members *members = members_new();
	struct buf once, twice;
	struct error err;
	size_t n = 0;

	members_add(members, (struct member){ { 0x0200000000000001 }, MEMBERSHIP_FULL, false });
	members_add(members, (struct member){ { 0x0200000000000002 }, MEMBERSHIP_LIMITED, false });
	struct partitions_ours ours = { { 0x6aaa }, true, false, members };
	buf_init(&once, 1 << 20);
	buf_init(&twice, 1 << 20);
	if (partitions_replace(&once, text, len, &ours, 1, &err) == 0) {
		int again = partitions_replace(&twice, once.data, once.len, &ours, 1, &err);
		assert(again == 0 && once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
		int read = partitions_each_of_ours(once.data, once.len, count, &n, &err);
		assert(read == 0 && n == 2);
	}
	buf_free(&once);
	buf_free(&twice);
	members_free(members);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_alloc(size ? size : 1); /* exactly: what reads behind its end is seen */
	struct partitions *partitions;
	struct error err;

	memcpy(text, data, size);
	if (partitions_parse(&partitions, text, size, NULL, &err) == 0) {
		for (size_t i = 0; i < partitions->n; i++)
			assert(partitions->definitions[i].at < partitions->definitions[i].end &&
			       partitions->definitions[i].end <= size);
		partitions_free(partitions);
	}
	replace(text, size);
	free(text);
	return 0;
}
