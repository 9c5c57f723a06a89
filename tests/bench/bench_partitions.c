/* OpenSM's partition configuration: `bench_partitions [partitions, 40] [GUIDs each, 512] [rounds, 20]`.  Processor time, the
 * median of the rounds; disk: wall time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "pkey/partitions_block.h"
#include "pkey/partitions_file.h"

#define OPERATOR "Default=0x7fff,ipoib : ALL=limited, SELF=full ;\nstorage=0x7000,ipoib : ALL=full ;\n"

enum { TEXT_MAX = 64 << 20 };

static struct partitions_ours *ours;
static size_t partitions, guids, seen;
static struct buf before, after;

static double milliseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void must(int result, const struct error *err)
{
	if (result < 0) {
		fprintf(stderr, "%s\n", err->text);
		exit(1);
	}
}

static void fill(void)
{
	ours = mem_array(partitions, sizeof *ours);
	for (size_t i = 0; i < partitions; i++) {
		struct members *members = members_new();
		for (size_t j = 0; j < guids; j++)
			members_add(members,
				    (struct member){ { 0x0200000000000000 + j * 7 + i }, MEMBERSHIP_FULL, false });
		ours[i] = (struct partitions_ours){ { (uint16_t)(i + 1) }, true, false, members };
	}
}

/* --- what is measured --- */

static void parse(void)
{
	struct partitions *parsed;
	struct error err;

	must(partitions_parse(&parsed, before.data, before.len, NULL, &err), &err);
	partitions_free(parsed);
}

static void count(void *aux, struct pkey pkey, const struct member *member)
{
	(void)aux;
	(void)pkey;
	seen += member->guid.v != 0;
}

static void read_ours(void)
{
	struct error err;

	must(partitions_each_of_ours(before.data, before.len, count, NULL, &err), &err);
}

/* Everything between a changed list of members and the bytes that may be written, all checks included. */
static void replace(void)
{
	struct error err;

	buf_clear(&after);
	must(partitions_replace(&after, before.data, before.len, ours, partitions, &err), &err);
}

static const char *path;

static void write_file(void)
{
	struct error err;

	must(partitions_file_write(path, &before, &before, INT64_MAX, &err), &err);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_of(void (*what)(void), clockid_t clock, size_t rounds)
{
	double *times = mem_array(rounds, sizeof *times);

	for (size_t i = 0; i < rounds; i++) {
		double since = milliseconds(clock);
		what();
		times[i] = milliseconds(clock) - since;
	}
	qsort(times, rounds, sizeof *times, ascending);
	double result = times[rounds / 2];
	free(times);
	return result;
}

/* In a folder of its own, which is gone afterwards. */
static double measure_disk(size_t rounds)
{
	char folder[] = "/tmp/bench-partitions-XXXXXX", name[64];

	if (!mkdtemp(folder))
		exit(1);
	snprintf(name, sizeof name, "%s/partitions.conf", folder);
	path = name;
	FILE *file = fopen(path, "w");
	if (!file || fwrite(before.data, 1, before.len, file) != before.len || fclose(file) != 0)
		exit(1);
	double took = median_of(write_file, CLOCK_MONOTONIC, rounds);
	unlink(path);
	rmdir(folder);
	return took;
}

static size_t number(int argc, char **argv, int i, size_t otherwise)
{
	return argc > i ? strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	struct error err;
	size_t rounds = number(argc, argv, 3, 20);

	partitions = number(argc, argv, 1, 40);
	guids = number(argc, argv, 2, 512);
	if (!partitions || partitions > 0x6fff || !guids || !rounds) {
		fputs("usage: bench_partitions [partitions] [GUIDs each] [rounds]\n", stderr);
		return 2;
	}
	fill();
	buf_init(&before, TEXT_MAX);
	buf_init(&after, TEXT_MAX);
	must(partitions_replace(&before, OPERATOR, sizeof OPERATOR - 1, ours, partitions, &err), &err);
	double parsed = median_of(parse, CLOCK_PROCESS_CPUTIME_ID, rounds);
	double ours_read = median_of(read_ours, CLOCK_PROCESS_CPUTIME_ID, rounds);
	double replaced = median_of(replace, CLOCK_PROCESS_CPUTIME_ID, rounds);
	printf("{\"partitions\": %zu, \"guids\": %zu, \"bytes\": %zu, \"parse_ms\": %.3f, \"parse_mb_s\": %.1f, "
	       "\"read_ms\": %.3f, \"replace_ms\": %.3f, \"write_ms\": %.3f}\n",
	       partitions, guids, before.len, parsed, (double)before.len / parsed / 1e3, ours_read, replaced,
	       measure_disk(rounds));
	return seen == rounds * partitions * guids ? 0 : 1;
}
