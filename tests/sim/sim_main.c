#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"
#include "tests/sim/sim_mutants.h"
#include "ufmsync/engine_break.h"

/* Runs seeds.  The work is done in children that share a page of memory with this process, so that a life that crashes
 * or hangs the engine is reported and told like one that breaks a rule. */

enum { FAILURES_MAX = 20, SEED_SECONDS_MAX = 30 };

struct shared {
	uint64_t next; /* the next seed nobody has taken */
	uint64_t done, facts, actions, steps, virtual_ms;
	uint32_t n_failures;
	struct sim_result failures[FAILURES_MAX];
	uint64_t current[64]; /* of each job: the seed it is at; 0: none */
	struct sim_story story;
};

struct run {
	uint64_t first, seeds;
	unsigned jobs, failures; /* stop after that many failures */
	struct shared *shared;
};

#ifdef UFMSYNC_ENGINE_BREAK
int engine_break_number;
static const bool mutants = true;
#else
static const bool mutants = false;
#endif

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void note_failure(struct shared *shared, const struct sim_result *result)
{
	uint32_t at = __atomic_fetch_add(&shared->n_failures, 1, __ATOMIC_SEQ_CST);

	if (at < FAILURES_MAX)
		shared->failures[at] = *result;
}

static void work(const struct run *run, unsigned job)
{
	struct shared *shared = run->shared;
	struct sim_result result;

	for (;;) {
		uint64_t seed = __atomic_fetch_add(&shared->next, 1, __ATOMIC_SEQ_CST);

		if (seed >= run->first + run->seeds ||
		    __atomic_load_n(&shared->n_failures, __ATOMIC_SEQ_CST) >= run->failures)
			break;
		shared->current[job] = seed;
		alarm(SEED_SECONDS_MAX);
		sim_run(seed, NULL, &result);
		__atomic_fetch_add(&shared->done, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&shared->facts, result.facts, __ATOMIC_RELAXED);
		__atomic_fetch_add(&shared->actions, result.actions, __ATOMIC_RELAXED);
		__atomic_fetch_add(&shared->steps, result.steps, __ATOMIC_RELAXED);
		__atomic_fetch_add(&shared->virtual_ms, (uint64_t)result.virtual_ms, __ATOMIC_RELAXED);
		if (result.failed)
			note_failure(shared, &result);
	}
	shared->current[job] = 0;
	sim_plan_end();
}

static pid_t start_job(const struct run *run, unsigned job)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0) {
		if (mutants && freopen("/dev/null", "w", stderr) == NULL) /* asserts that fire are what is hoped for */
			_exit(2);
		work(run, job);
		exit(0);
	}
	return pid;
}

static void note_crash(const struct run *run, unsigned job, int status)
{
	struct sim_result result = { .seed = run->shared->current[job], .failed = true };

	snprintf(result.rule, sizeof(result.rule), WTERMSIG(status) == SIGALRM ? "never hangs" : "never crashes");
	snprintf(result.failure, sizeof(result.failure), "signal %d (%s)", WTERMSIG(status),
		 strsignal(WTERMSIG(status)));
	if (!WIFSIGNALED(status))
		snprintf(result.failure, sizeof(result.failure), "exit status %d", WEXITSTATUS(status));
	note_failure(run->shared, &result);
}

/* True when no seed failed. */
static bool run_seeds(const struct run *run)
{
	pid_t pids[64];

	run->shared->next = run->first;
	run->shared->n_failures = 0;
	for (unsigned job = 0; job < run->jobs; job++)
		pids[job] = start_job(run, job);
	for (unsigned job = 0; job < run->jobs; job++) {
		int status;

		while (waitpid(pids[job], &status, 0) < 0 && errno == EINTR)
			;
		if (status == 0)
			continue;
		note_crash(run, job, status);
		if (run->shared->n_failures < run->failures) {
			pids[job] = start_job(run, job);
			job--;
		}
	}
	return run->shared->n_failures == 0;
}

/* Lives the seed again, in a child, for its story. */
static void tell_story(const struct run *run, const struct sim_result *failure, const char *program)
{
	struct sim_story *story = &run->shared->story;
	pid_t pid;

	printf("\nseed %llu broke the rule \"%s\": %s\n", (unsigned long long)failure->seed, failure->rule,
	       failure->failure);
	memset(story, 0, sizeof(*story));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct sim_result result;

		alarm(SEED_SECONDS_MAX);
		sim_run(failure->seed, story, &result);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	printf("the last steps:\n");
	for (uint64_t i = story->count > SIM_STORY_LINES ? story->count - SIM_STORY_LINES : 0; i < story->count; i++)
		printf("  %s\n", story->lines[i % SIM_STORY_LINES]);
	printf("replay it with:  %s --seed %llu --trace\n", program, (unsigned long long)failure->seed);
}

static int by_seed(const void *a, const void *b)
{
	const struct sim_result *x = a, *y = b;

	return x->seed < y->seed ? -1 : x->seed > y->seed;
}

static int run_many(const struct run *run, const char *program)
{
	struct shared *shared = run->shared;
	double begun = seconds(), took;
	uint32_t n;

	run_seeds(run);
	took = seconds() - begun;
	n = shared->n_failures < FAILURES_MAX ? shared->n_failures : FAILURES_MAX;
	qsort(shared->failures, n, sizeof(shared->failures[0]), by_seed);
	for (uint32_t i = 0; i < n; i++)
		tell_story(run, &shared->failures[i], program);
	printf("%llu seeds from %llu in %.1f s (%.0f a second): %.1f days of virtual time, %llu facts, %llu actions; "
	       "%u failed\n",
	       (unsigned long long)shared->done, (unsigned long long)run->first, took, (double)shared->done / took,
	       (double)shared->virtual_ms / 86400e3, (unsigned long long)shared->facts,
	       (unsigned long long)shared->actions, shared->n_failures);
	return n ? 1 : 0;
}

static int run_one(uint64_t seed, bool trace, struct shared *shared)
{
	struct sim_result result;

	shared->story.stream = stdout;
	alarm(SEED_SECONDS_MAX);
	sim_run(seed, trace ? &shared->story : NULL, &result);
	sim_plan_end();
	if (result.failed)
		printf("seed %llu broke the rule \"%s\": %s\n", (unsigned long long)seed, result.rule, result.failure);
	else
		printf("seed %llu: every rule held; %llu facts, %llu actions, %.0f s of virtual time\n",
		       (unsigned long long)seed, (unsigned long long)result.facts, (unsigned long long)result.actions,
		       (double)result.virtual_ms / 1e3);
	return result.failed ? 1 : 0;
}

#ifdef UFMSYNC_ENGINE_BREAK
/* Each deliberate fault of the engine must be noticed. */
static int run_mutants(struct run *run)
{
	unsigned missed = 0;

	run->failures = 1;
	printf("%3s  %-88s %9s  %s\n", "no", "fault", "seed", "caught by the rule");
	for (engine_break_number = 1; engine_break_number < BREAK_COUNT; engine_break_number++) {
		const char *name = sim_mutant_name(engine_break_number);

		memset(run->shared, 0, sizeof(*run->shared));
		if (run_seeds(run)) {
			printf("%3d  %-88s %9s  NOT CAUGHT within %llu seeds\n", engine_break_number, name, "-",
			       (unsigned long long)run->seeds);
			missed++;
		} else {
			printf("%3d  %-88s %9llu  %s\n", engine_break_number, name,
			       (unsigned long long)run->shared->failures[0].seed, run->shared->failures[0].rule);
		}
		fflush(stdout);
	}
	printf("%d faults, %u not caught\n", BREAK_COUNT - 1, missed);
	return missed ? 1 : 0;
}
#else
static int run_mutants(struct run *run)
{
	(void)run;
	fprintf(stderr, "this program has no deliberate faults: run sim_mutants\n");
	return 2;
}
#endif

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 0);

	if (!*text || *end) {
		fprintf(stderr, "%s is not a number\n", text);
		exit(2);
	}
	return value;
}

static const char usage[] =
	"usage: sim [--seeds N] [--first N] [--jobs N] [--failures N]   live N seeds; stop after that many failures "
	"(5)\n"
	"       sim --seed N [--trace]                                  live one seed, and tell its story\n"
	"       sim_mutants --mutants [--seeds N] [--jobs N]            each deliberate fault must be noticed\n"
	"       sim_mutants --break N ...                               with that fault in the engine\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seeds", required_argument, NULL, 's' },    { "first", required_argument, NULL, 'f' },
		{ "jobs", required_argument, NULL, 'j' },     { "seed", required_argument, NULL, 'o' },
		{ "trace", no_argument, NULL, 't' },          { "mutants", no_argument, NULL, 'm' },
		{ "failures", required_argument, NULL, 'n' }, { "break", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },           { NULL, 0, NULL, 0 },
	};
	struct run run = { .first = 1, .seeds = 2000, .jobs = 2, .failures = 5 };
	bool one = false, trace = false, all_mutants = false;
	uint64_t seed = 0;

	run.shared = mmap(NULL, sizeof(*run.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 's':
			run.seeds = number(optarg);
			break;
		case 'f':
			run.first = number(optarg);
			break;
		case 'j':
			run.jobs = (unsigned)number(optarg);
			break;
		case 'n':
			run.failures = (unsigned)number(optarg);
			break;
		case 'o':
			seed = number(optarg);
			one = true;
			break;
		case 't':
			trace = true;
			break;
		case 'm':
			all_mutants = true;
			break;
		case 'b':
#ifdef UFMSYNC_ENGINE_BREAK
			engine_break_number = (int)number(optarg);
#endif
			break;
		default:
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (run.jobs < 1 || run.jobs > 64 || run.failures < 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (one)
		return run_one(seed, trace, run.shared);
	return all_mutants ? run_mutants(&run) : run_many(&run, argv[0]);
}
