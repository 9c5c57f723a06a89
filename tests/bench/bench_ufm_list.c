/* Reading UFM's list of one PKey: `bench_ufm_list [members, 50000]`.  The longest piece is what the loop is held for, as
 * bytes arrive in pieces of 16 KiB. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "pkey/ufm_list.h"

enum { PIECE = 16 << 10, ROUNDS = 20 };

static size_t members;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void member(void *aux, struct pkey pkey, const struct member *m)
{
	(void)aux;
	(void)pkey;
	members += m->index0;
}

static void write_list(struct buf *json, unsigned n)
{
	buf_init(json, (size_t)1 << 30);
	buf_text(json, "{\"partition\":\"api_pkey_0x5\",\"ip_over_ib\":true,\"guids\":[");
	for (unsigned i = 0; i < n; i++)
		buf_printf(json, "%s{\"guid\":\"02%014x\",\"membership\":\"full\",\"index0\":true}", i > 0 ? "," : "",
			   i);
	buf_text(json, "]}");
}

/* The longest piece, in seconds; *heap: bytes in use while it was read. */
static double read_list(const struct buf *json, size_t *heap)
{
	const struct pkey_list_sink sink = { .member = member };
	const struct pkey five = { 5 };
	size_t before = mallinfo2().uordblks;
	struct ufm_list *list = ufm_list_new(&five, &sink);
	struct error err;
	double longest = 0;

	for (size_t at = 0; at < json->len; at += PIECE) {
		double since = seconds();
		if (ufm_list_feed(list, json->data + at, json->len - at < PIECE ? json->len - at : PIECE, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
		double took = seconds() - since;
		longest = took > longest ? took : longest;
	}
	*heap = mallinfo2().uordblks - before;
	if (ufm_list_end(list, &err) < 0)
		exit(1);
	ufm_list_free(list);
	return longest;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 50000;
	struct buf json;
	double longest = 0;
	size_t heap = 0;

	write_list(&json, n);
	double since = seconds();
	for (int i = 0; i < ROUNDS; i++) {
		double took = read_list(&json, &heap);
		longest = took > longest ? took : longest;
	}
	double took = (seconds() - since) / ROUNDS;
	printf("%zu members, %zu bytes: %.1f ms a list, %.0f MB/s; longest piece of 16 KiB %.3f ms; %zu bytes of "
	       "memory\n",
	       members / ROUNDS, json.len, took * 1e3, (double)json.len / took / 1e6, longest * 1e3, heap);
	buf_free(&json);
	return members == (size_t)n * ROUNDS ? 0 : 1;
}
