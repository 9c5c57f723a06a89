#include "ufmsync/process_stats.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define OPEN_FILES "/proc/self/fd"

struct process_stats {
	struct loop *loop;
	int64_t started_wall_ms;
	uint64_t open_files; /* as last counted */
	uint64_t counted;    /* by the job under way */
	bool counting, freed, slow;
};

/* --- open files --- */

/* -1: this kernel does not tell. */
static int64_t open_files_told(void)
{
	struct stat st;

	return stat(OPEN_FILES, &st) == 0 && st.st_size > 0 ? (int64_t)st.st_size : -1;
}

/* Without ".", ".." and the descriptor that it is read through. */
static uint64_t count_open_files(void)
{
	DIR *dir = opendir(OPEN_FILES);
	uint64_t n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0;
}

static void count(void *aux)
{
	struct process_stats *stats = aux;

	stats->counted = count_open_files();
}

static void counted(void *aux)
{
	struct process_stats *stats = aux;

	stats->counting = false;
	stats->open_files = stats->counted;
	if (stats->freed)
		free(stats);
}

static uint64_t open_files(struct process_stats *stats)
{
	int64_t told = stats->slow ? -1 : open_files_told();

	if (told >= 0)
		return (uint64_t)told;
	if (!stats->counting) {
		stats->counting = true;
		loop_work(stats->loop, count, counted, stats);
	}
	return stats->open_files;
}

/* --- the rest --- */

static int64_t clock_ms(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* "" when it cannot be read. */
static void read_line(char *line, size_t size, const char *path)
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(line, (int)size, file))
		line[0] = '\0';
	if (file)
		fclose(file);
}

static void read_memory(struct process_figures *figures)
{
	char line[256], *rest;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	read_line(line, sizeof line, "/proc/self/statm");
	figures->virtual_bytes = strtoull(line, &rest, 10) * page;
	figures->resident_bytes = strtoull(rest, NULL, 10) * page;
}

/* When it began, in ticks since the machine did: the 22nd field, behind a name in brackets that may hold anything. */
static int64_t started_wall_ms(void)
{
	char line[1024];
	uint64_t ticks = 0;

	read_line(line, sizeof line, "/proc/self/stat");
	const char *p = strrchr(line, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		ticks = strtoull(p, NULL, 10);
	int64_t after_boot_ms = (int64_t)(ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
	int64_t age_ms = ticks > 0 ? clock_ms(CLOCK_BOOTTIME) - after_boot_ms : 0;
	return loop_wall_ms() - age_ms;
}

void process_stats_read(struct process_stats *stats, struct process_figures *figures)
{
	struct rlimit limit;

	*figures = (struct process_figures){
		.cpu_ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID),
		.open_files = open_files(stats),
		.open_files_max = UINT64_MAX,
		.started_wall_ms = stats->started_wall_ms,
	};
	read_memory(figures);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		figures->open_files_max = limit.rlim_cur;
}

void process_stats_count_slowly(struct process_stats *stats)
{
	stats->slow = true;
	stats->open_files = count_open_files();
}

struct process_stats *process_stats_new(struct loop *loop)
{
	struct process_stats *stats = mem_alloc(sizeof *stats);

	stats->loop = loop;
	stats->started_wall_ms = started_wall_ms();
	if (open_files_told() < 0)
		stats->open_files = count_open_files(); /* few yet */
	return stats;
}

void process_stats_free(struct process_stats *stats)
{
	if (!stats)
		return;
	if (stats->counting)
		stats->freed = true;
	else
		free(stats);
}
