#undef NDEBUG
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "guid/pool.h"

#define NEVER INT64_MAX

static struct guid g(uint64_t v)
{
	return (struct guid){ v };
}

static struct guid_pool *pool_of(uint64_t first, uint64_t last, uint64_t start)
{
	struct guid_pool *pool = guid_pool_new(g(first), g(last), start);

	assert_non_null(pool);
	return pool;
}

/* 0: none. */
static uint64_t allocate(struct guid_pool *pool, int64_t now_ms)
{
	struct guid out;
	int64_t again_ms;

	return guid_pool_allocate(pool, NEVER, now_ms, &out, &again_ms) ? out.v : 0;
}

static void test_a_range_that_cannot_be_is_refused(void **state)
{
	(void)state;
	assert_null(guid_pool_new(g(0), g(5), 0));
	assert_null(guid_pool_new(g(5), g(4), 0));
	assert_null(guid_pool_new(g(5), g(UINT64_MAX), 0));
	assert_null(guid_pool_new(g(0), g(0), 0));
	assert_null(guid_pool_new(g(UINT64_MAX), g(UINT64_MAX), 0));
	guid_pool_free(pool_of(5, 5, 0));
	guid_pool_free(NULL);
}

static void test_each_guid_goes_to_one_holder_at_a_time(void **state)
{
	bool seen[11] = { false };
	struct guid_pool *pool = pool_of(1, 10, 1234567);

	(void)state;
	for (int i = 0; i < 10; i++) {
		uint64_t v = allocate(pool, 0);
		assert_in_range(v, 1, 10);
		assert_false(seen[v]);
		seen[v] = true;
		assert_true(guid_pool_is_held(pool, g(v)));
	}
	assert_int_equal(allocate(pool, 0), 0);
	assert_int_equal(guid_pool_use(pool).held, 10);
	guid_pool_free(pool);
}

static void test_the_start_picks_the_place_and_the_cursor_goes_round(void **state)
{
	struct guid_pool *pool = pool_of(100, 109, 27);

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(allocate(pool, 0), 100 + (7 + i) % 10);
	guid_pool_free(pool);
}

static void test_a_held_guid_is_refused_until_released(void **state)
{
	struct guid_pool *pool = pool_of(1, 10, 0);

	(void)state;
	assert_int_equal(guid_pool_claim(pool, g(4), false, 0), GUID_CLAIM_OK);
	assert_int_equal(guid_pool_claim(pool, g(4), false, 0), GUID_CLAIM_HELD);
	assert_int_equal(guid_pool_claim(pool, g(4), true, 0), GUID_CLAIM_HELD);
	guid_pool_release(pool, g(4), 0, false, 0);
	assert_int_equal(guid_pool_claim(pool, g(4), false, 0), GUID_CLAIM_OK);
	guid_pool_free(pool);
}

static void test_a_freed_guid_is_not_handed_out_again_until_all_others_were(void **state)
{
	struct guid_pool *pool = pool_of(1, 10, 0);

	(void)state;
	/* One ahead of the cursor too. */
	assert_int_equal(guid_pool_claim(pool, g(2), false, 0), GUID_CLAIM_OK);
	guid_pool_release(pool, g(2), 0, false, 0);
	assert_int_equal(allocate(pool, 0), 1);
	guid_pool_release(pool, g(1), 0, false, 0);
	for (uint64_t v = 3; v <= 10; v++)
		assert_int_equal(allocate(pool, 0), v);
	guid_pool_release(pool, g(7), 0, false, 0);
	assert_int_equal(allocate(pool, 0), 2);
	guid_pool_release(pool, g(2), 0, false, 0);
	assert_int_equal(allocate(pool, 0), 1);
	assert_int_equal(allocate(pool, 0), 7);
	assert_int_equal(allocate(pool, 0), 2);
	assert_int_equal(allocate(pool, 0), 0);
	guid_pool_free(pool);
}

static void test_a_resting_guid_is_refused_and_free_when_its_rest_ends(void **state)
{
	struct guid_pool *pool = pool_of(1, 1, 0);

	(void)state;
	assert_int_equal(allocate(pool, 1000), 1);
	assert_true(guid_pool_deadline(pool) == NEVER);
	guid_pool_release(pool, g(1), 61000, false, 1000);
	assert_int_equal(guid_pool_use(pool).resting, 1);
	assert_int_equal(guid_pool_rest_end(pool, g(1)), 61000);
	assert_int_equal(guid_pool_deadline(pool), 61000);
	assert_int_equal(guid_pool_claim(pool, g(1), false, 60999), GUID_CLAIM_RESTING);
	assert_int_equal(allocate(pool, 60999), 0);
	assert_int_equal(guid_pool_claim(pool, g(1), false, 61000), GUID_CLAIM_OK);
	assert_int_equal(guid_pool_rest_end(pool, g(1)), 0);
	guid_pool_release(pool, g(1), 62000, false, 61000);
	guid_pool_expire(pool, 62000);
	assert_int_equal(guid_pool_use(pool).resting, 0);
	assert_int_equal(allocate(pool, 62000), 1);
	guid_pool_free(pool);
}

static void test_the_longest_resting_is_taken_early_only_when_nothing_else_is_free(void **state)
{
	struct guid_pool *pool = pool_of(1, 3, 0);
	struct guid out;
	int64_t again;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_true(allocate(pool, 0));
	guid_pool_release(pool, g(2), 60000, false, 0);
	guid_pool_release(pool, g(1), 61000, false, 1000);
	assert_true(guid_pool_allocate(pool, 5000, 50000, &out, &again));
	assert_int_equal(out.v, 3);
	assert_true(guid_pool_allocate(pool, 5000, 50000, &out, &again));
	assert_int_equal(out.v, 2);
	assert_true(guid_pool_allocate(pool, 49000, 50000, &out, &again));
	assert_int_equal(out.v, 1);
	/* Not before it has rested long enough, and it says when. */
	guid_pool_release(pool, g(3), 110000, false, 50000);
	assert_false(guid_pool_allocate(pool, 5000, 54999, &out, &again));
	assert_int_equal(again, 55000);
	assert_false(guid_pool_allocate(pool, 500000, 54999, &out, &again));
	assert_int_equal(again, 110000);
	assert_true(guid_pool_allocate(pool, 5000, 55000, &out, &again));
	assert_int_equal(out.v, 3);
	assert_false(guid_pool_allocate(pool, 5000, 55000, &out, &again));
	assert_true(again == NEVER);
	guid_pool_free(pool);
}

static void test_an_unsure_one_is_never_taken_early(void **state)
{
	struct guid_pool *pool = pool_of(1, 2, 0);
	struct guid out;
	int64_t again;

	(void)state;
	assert_true(allocate(pool, 0) && allocate(pool, 0));
	guid_pool_release(pool, g(1), 3600000, true, 0);
	assert_false(guid_pool_allocate(pool, 5000, 3599999, &out, &again));
	assert_int_equal(again, 3600000);
	guid_pool_release(pool, g(2), 3650000, false, 3590000);
	assert_true(guid_pool_allocate(pool, 5000, 3599999, &out, &again));
	assert_int_equal(out.v, 2);
	assert_true(guid_pool_allocate(pool, 5000, 3600000, &out, &again));
	assert_int_equal(out.v, 1);
	guid_pool_free(pool);
}

static void test_rests_of_any_length_end_in_their_order(void **state)
{
	static const int64_t ends[] = { 50, 20, 90, 20, 70, 10, 60 };
	struct guid_pool *pool = pool_of(1, 7, 0);

	(void)state;
	for (size_t i = 0; i < array_length(ends); i++) {
		assert_int_equal(allocate(pool, 0), i + 1);
		guid_pool_rest(pool, g(i + 1), ends[i], false, 0); /* held: no effect */
		assert_int_equal(guid_pool_rest_end(pool, g(i + 1)), 0);
	}
	for (size_t i = 0; i < array_length(ends); i++)
		guid_pool_release(pool, g(i + 1), ends[i], i % 2, 0);
	for (int64_t now = 1; now <= 90; now++) {
		unsigned resting = 0;
		int64_t next = NEVER;
		guid_pool_expire(pool, now);
		for (size_t i = 0; i < array_length(ends); i++) {
			resting += ends[i] > now;
			next = ends[i] > now && ends[i] < next ? ends[i] : next;
			assert_int_equal(guid_pool_rest_end(pool, g(i + 1)), ends[i] > now ? ends[i] : 0);
		}
		assert_int_equal(guid_pool_use(pool).resting, resting);
		assert_true(guid_pool_deadline(pool) == next);
	}
	guid_pool_free(pool);
}

static void test_a_guid_nobody_holds_can_be_laid_to_rest_and_never_for_shorter(void **state)
{
	struct guid_pool *pool = pool_of(1, 2, 0);
	struct guid out;
	int64_t again;

	(void)state;
	guid_pool_rest(pool, g(1), 100, false, 0);
	guid_pool_rest(pool, g(2), 100, true, 0);
	assert_int_equal(guid_pool_claim(pool, g(1), false, 50), GUID_CLAIM_RESTING);
	guid_pool_rest(pool, g(1), 40, true, 20);
	guid_pool_rest(pool, g(2), 40, false, 20);
	assert_int_equal(guid_pool_rest_end(pool, g(1)), 100);
	assert_false(guid_pool_allocate(pool, 0, 99, &out, &again)); /* both are unsure now */
	guid_pool_rest(pool, g(2), 150, false, 99);
	guid_pool_rest(pool, g(3), 150, false, 99); /* out of range */
	assert_int_equal(allocate(pool, 100), 1);
	assert_int_equal(allocate(pool, 149), 0);
	assert_int_equal(allocate(pool, 150), 2);
	guid_pool_free(pool);
}

static void test_a_blocked_guid_is_never_generated_nor_given_to_one_who_asks(void **state)
{
	struct guid_pool *pool = pool_of(1, 4, 0);

	(void)state;
	guid_pool_block(pool, g(2));
	guid_pool_block(pool, g(2));
	guid_pool_block(pool, g(5));
	guid_pool_block(pool, g(0));
	assert_int_equal(guid_pool_use(pool).blocked, 1);
	assert_int_equal(guid_pool_claim(pool, g(2), false, 0), GUID_CLAIM_BLOCKED);
	assert_int_equal(guid_pool_claim(pool, g(5), true, 0), GUID_CLAIM_OUT_OF_RANGE);
	assert_int_equal(allocate(pool, 0), 1);
	assert_int_equal(allocate(pool, 0), 3);
	assert_int_equal(allocate(pool, 0), 4);
	assert_int_equal(allocate(pool, 0), 0);
	/* Blocked while held, and while free again. */
	guid_pool_block(pool, g(3));
	guid_pool_release(pool, g(3), 0, false, 0);
	guid_pool_release(pool, g(4), 0, false, 0);
	guid_pool_block(pool, g(4));
	assert_int_equal(allocate(pool, 0), 0);
	assert_int_equal(guid_pool_use(pool).blocked, 3);
	guid_pool_unblock(pool, g(3));
	guid_pool_unblock(pool, g(1)); /* held, not blocked: no effect */
	assert_int_equal(allocate(pool, 0), 3);
	guid_pool_unblock(pool, g(4));
	guid_pool_unblock(pool, g(2));
	assert_int_equal(allocate(pool, 0), 4);
	assert_int_equal(allocate(pool, 0), 2);
	guid_pool_free(pool);
}

static void test_a_blocked_one_that_rests_is_not_taken_early(void **state)
{
	struct guid_pool *pool = pool_of(1, 2, 0);
	struct guid out;
	int64_t again;

	(void)state;
	assert_true(allocate(pool, 0) && allocate(pool, 0));
	guid_pool_release(pool, g(1), 60000, false, 0);
	guid_pool_block(pool, g(1));
	assert_int_equal(guid_pool_use(pool).blocked, 0);
	assert_int_equal(guid_pool_claim(pool, g(1), false, 100), GUID_CLAIM_RESTING);
	guid_pool_release(pool, g(2), 60100, false, 100);
	assert_true(guid_pool_allocate(pool, 5000, 50000, &out, &again));
	assert_int_equal(out.v, 2);
	assert_false(guid_pool_allocate(pool, 5000, 50000, &out, &again));
	/* Unblocked while it rests, it has rested since its release. */
	guid_pool_release(pool, g(2), 110000, false, 50000);
	guid_pool_unblock(pool, g(1));
	assert_true(guid_pool_allocate(pool, 50000, 50000, &out, &again));
	assert_int_equal(out.v, 1);
	/* The end of a rest does not unblock. */
	guid_pool_block(pool, g(2));
	assert_int_equal(guid_pool_claim(pool, g(2), false, 110000), GUID_CLAIM_BLOCKED);
	assert_int_equal(guid_pool_use(pool).blocked, 1);
	assert_int_equal(guid_pool_use(pool).resting, 0);
	guid_pool_free(pool);
}

static void test_force_overrides_rest_and_block_but_no_holder(void **state)
{
	struct guid_pool *pool = pool_of(1, 4, 0);

	(void)state;
	guid_pool_rest(pool, g(1), 100, true, 0);
	guid_pool_block(pool, g(2));
	guid_pool_rest(pool, g(3), 100, false, 0);
	guid_pool_block(pool, g(3));
	for (uint64_t v = 1; v <= 3; v++) {
		assert_int_equal(guid_pool_claim(pool, g(v), true, 10), GUID_CLAIM_OK);
		assert_int_equal(guid_pool_claim(pool, g(v), true, 10), GUID_CLAIM_HELD);
	}
	struct guid_pool_use use = guid_pool_use(pool);
	assert_int_equal(use.held, 3);
	assert_int_equal(use.resting + use.blocked, 0);
	assert_true(guid_pool_deadline(pool) == NEVER);
	/* Still blocked when given back. */
	guid_pool_release(pool, g(2), 10, false, 10);
	assert_int_equal(guid_pool_claim(pool, g(2), false, 10), GUID_CLAIM_BLOCKED);
	guid_pool_free(pool);
}

/* What `crash` does must end in an assert. */
static void expect_assert(void (*crash)(struct guid_pool *pool))
{
	struct guid_pool *pool = pool_of(1, 4, 0);
	int status;

	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit no_core = { 0, 0 };
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		crash(pool);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	guid_pool_free(pool);
}

static void release_outside(struct guid_pool *pool)
{
	guid_pool_release(pool, g(5), 0, false, 0);
}

static void release_untouched(struct guid_pool *pool)
{
	guid_pool_release(pool, g(4), 0, false, 0);
}

static void release_twice(struct guid_pool *pool)
{
	uint64_t v = allocate(pool, 0);

	guid_pool_release(pool, g(v), 100, false, 0);
	guid_pool_release(pool, g(v), 100, false, 0);
}

static void test_releasing_what_is_not_held_is_a_bug(void **state)
{
	(void)state;
	expect_assert(release_outside);
	expect_assert(release_untouched);
	expect_assert(release_twice);
}

static void test_the_edges_of_all_guids_are_a_range_like_any_other(void **state)
{
	const uint64_t last = UINT64_MAX - 1;
	struct guid_pool *pool = pool_of(last - 1, last, 1);

	(void)state;
	assert_true(allocate(pool, 0) == last);
	assert_true(allocate(pool, 0) == last - 1);
	assert_true(allocate(pool, 0) == 0);
	assert_false(guid_pool_in_range(pool, g(UINT64_MAX)));
	assert_false(guid_pool_in_range(pool, g(0)));
	guid_pool_free(pool);
	pool = pool_of(1, last, UINT64_MAX - 3);
	assert_true(guid_pool_use(pool).size == UINT64_MAX - 1);
	assert_true(allocate(pool, 0) == last - 1);
	assert_true(allocate(pool, 0) == last);
	assert_true(allocate(pool, 0) == 1);
	assert_int_equal(guid_pool_claim(pool, g(last), false, 0), GUID_CLAIM_HELD);
	assert_int_equal(guid_pool_claim(pool, g(UINT64_MAX), true, 0), GUID_CLAIM_OUT_OF_RANGE);
	assert_int_equal(guid_pool_claim(pool, g(0), true, 0), GUID_CLAIM_OUT_OF_RANGE);
	guid_pool_free(pool);
}

static void test_the_default_range_is_gone_round_without_forgetting_a_holder(void **state)
{
	const uint64_t first = 0x0200000000000000, last = 0x02ffffffffffffff;
	struct guid_pool *pool = pool_of(first, last, UINT64_MAX);

	(void)state;
	assert_true(allocate(pool, 0) == last);
	assert_int_equal(guid_pool_claim(pool, g(first + 1), false, 0), GUID_CLAIM_OK);
	guid_pool_block(pool, g(first + 2));
	assert_true(allocate(pool, 0) == first);
	assert_true(allocate(pool, 0) == first + 3);
	guid_pool_release(pool, g(first), 0, false, 0);
	assert_true(allocate(pool, 0) == first + 4);
	/* A long life keeps no node of what it no longer uses: half a million times one GUID held. */
	for (int i = 0; i < 500000; i++) {
		uint64_t v = allocate(pool, i);
		assert_true(v > first + 4 && v < last);
		guid_pool_release(pool, g(v), i + 1, false, i);
	}
	assert_int_equal(guid_pool_use(pool).held, 4);
	guid_pool_free(pool);
}

static void test_a_large_range_can_be_used_up_and_freed_and_used_again(void **state)
{
	const uint64_t n = (1 << 20) + 7;
	struct guid_pool *pool = pool_of(1, n, 99);
	uint8_t *held = mem_alloc(n + 1);

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < n; i++) {
			uint64_t v = allocate(pool, round);
			if (v == 0 || v > n || held[v])
				fail_msg("%llu is given in round %d", (unsigned long long)v, round);
			held[v] = 1;
		}
		assert_int_equal(allocate(pool, round), 0);
		/* Nearly full: single ones come and go. */
		for (uint64_t i = 1; i <= 1000; i++) {
			guid_pool_release(pool, g(i * 997), round, false, round);
			assert_int_equal(allocate(pool, round), i * 997);
		}
		for (uint64_t v = 1; v <= n; v++)
			guid_pool_release(pool, g(v), round, false, round);
		memset(held, 0, n + 1);
		assert_int_equal(guid_pool_use(pool).held, 0);
	}
	free(held);
	guid_pool_free(pool);
}

/* --- a plain array against the pool -------------------------------------------------------------------------------- */

enum { SIZE = 24 };
enum what { FREE, HELD, RESTING };

struct model {
	struct {
		enum what what;
		bool blocked, unsure;
		int64_t since, until, freed; /* freed: a running number, 0 when it was never touched */
	} of[SIZE];
	int64_t freed, now;
	unsigned cursor;
};

static void model_free(struct model *m, unsigned i)
{
	m->of[i].what = FREE;
	if (!m->of[i].blocked)
		m->of[i].freed = ++m->freed;
}

static void model_expire(struct model *m)
{
	for (;;) {
		unsigned due = SIZE;
		for (unsigned i = 0; i < SIZE; i++)
			if (m->of[i].what == RESTING && m->of[i].until <= m->now &&
			    (due == SIZE || m->of[i].until < m->of[due].until))
				due = i;
		if (due == SIZE)
			return;
		model_free(m, due);
	}
}

static bool untouched(const struct model *m, unsigned i)
{
	return m->of[i].what == FREE && !m->of[i].blocked && m->of[i].freed == 0;
}

/* SIZE: none.  Rests never end at the same moment here, nor do two begin at one, so that the order is certain. */
static unsigned model_pick(struct model *m, int64_t least_rest)
{
	unsigned best = SIZE;

	for (unsigned k = 0; k < SIZE; k++) {
		unsigned i = (m->cursor + k) % SIZE;
		if (untouched(m, i)) {
			m->cursor = (i + 1) % SIZE;
			return i;
		}
	}
	for (unsigned i = 0; i < SIZE; i++)
		if (m->of[i].what == FREE && !m->of[i].blocked && (best == SIZE || m->of[i].freed < m->of[best].freed))
			best = i;
	if (best != SIZE)
		return best;
	for (unsigned i = 0; i < SIZE; i++)
		if (m->of[i].what == RESTING && !m->of[i].blocked && !m->of[i].unsure &&
		    (best == SIZE || m->of[i].since < m->of[best].since))
			best = i;
	return best != SIZE && m->now - m->of[best].since >= least_rest ? best : SIZE;
}

static void model_rest(struct model *m, unsigned i, int64_t until, bool unsure)
{
	m->of[i].since = m->now;
	m->of[i].until = until;
	m->of[i].unsure = unsure;
	m->of[i].what = RESTING;
	if (until <= m->now)
		model_free(m, i);
}

static void compare(struct model *m, const struct guid_pool *pool)
{
	struct guid_pool_use use = guid_pool_use(pool);
	int64_t deadline = NEVER;

	for (unsigned i = 0; i < SIZE; i++) {
		assert_int_equal(guid_pool_is_held(pool, g(100 + i)), m->of[i].what == HELD);
		assert_int_equal(guid_pool_rest_end(pool, g(100 + i)), m->of[i].what == RESTING ? m->of[i].until : 0);
		if (m->of[i].what == RESTING && m->of[i].until < deadline)
			deadline = m->of[i].until;
		use.held -= m->of[i].what == HELD;
		use.resting -= m->of[i].what == RESTING;
		use.blocked -= m->of[i].what == FREE && m->of[i].blocked;
	}
	assert_int_equal(use.held + use.resting + use.blocked, 0);
	assert_true(guid_pool_deadline(pool) == deadline);
}

static void step_allocate(struct model *m, struct guid_pool *pool)
{
	struct guid out;
	int64_t again = -1;

	model_expire(m);
	unsigned expected = model_pick(m, 200);
	bool got = guid_pool_allocate(pool, 200, m->now, &out, &again);
	assert_int_equal(got, expected != SIZE);
	if (got) {
		assert_int_equal(out.v, 100 + expected);
		m->of[expected].what = HELD;
	} else {
		assert_true(again > m->now && again <= guid_pool_deadline(pool));
	}
}

static void step_claim(struct model *m, struct guid_pool *pool, unsigned i, bool force)
{
	enum guid_claim expected = GUID_CLAIM_OK;

	model_expire(m);
	if (m->of[i].what == HELD)
		expected = GUID_CLAIM_HELD;
	else if (m->of[i].what == RESTING && !force)
		expected = GUID_CLAIM_RESTING;
	else if (m->of[i].blocked && !force)
		expected = GUID_CLAIM_BLOCKED;
	assert_int_equal(guid_pool_claim(pool, g(100 + i), force, m->now), expected);
	if (expected == GUID_CLAIM_OK)
		m->of[i].what = HELD;
}

static void step_rest(struct model *m, struct guid_pool *pool, unsigned i, int64_t until, bool unsure)
{
	if (m->of[i].what == HELD) {
		guid_pool_release(pool, g(100 + i), until, unsure, m->now);
		model_rest(m, i, until, unsure);
		return;
	}
	guid_pool_rest(pool, g(100 + i), until, unsure, m->now);
	if (m->of[i].what == RESTING) {
		unsure = unsure || m->of[i].unsure;
		until = until > m->of[i].until ? until : m->of[i].until;
	}
	model_rest(m, i, until, unsure);
}

static void step_block(struct model *m, struct guid_pool *pool, unsigned i)
{
	bool blocked = m->of[i].blocked;

	if (blocked)
		guid_pool_unblock(pool, g(100 + i));
	else
		guid_pool_block(pool, g(100 + i));
	m->of[i].blocked = !blocked;
	if (blocked && m->of[i].what == FREE)
		model_free(m, i);
}

static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random = *random * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(*random >> 33) % below;
}

static bool some_rest_ends_at(const struct model *m, int64_t until)
{
	for (unsigned i = 0; i < SIZE; i++)
		if (m->of[i].what == RESTING && m->of[i].until == until)
			return true;
	return false;
}

static void test_against_a_plain_array_it_agrees_at_every_step(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint64_t random = seed;
		struct model m = { .cursor = (unsigned)seed % SIZE };
		struct guid_pool *pool = pool_of(100, 100 + SIZE - 1, seed);
		uint32_t hunger = 20 + draw(&random, 60);
		for (int step = 0; step < 4000; step++) {
			uint32_t dice = draw(&random, 100);
			unsigned i = draw(&random, SIZE);
			m.now++;
			int64_t until = draw(&random, 3) ? m.now + 600 : m.now - 5 + draw(&random, 2000);
			if (dice < hunger)
				step_allocate(&m, pool);
			else if (dice < hunger + 5)
				step_claim(&m, pool, i, dice % 2);
			else if (dice < hunger + 8)
				step_block(&m, pool, i);
			else if (dice < hunger + 9)
				m.now += draw(&random, 1000);
			else if (!some_rest_ends_at(&m, until) && (m.of[i].what == HELD || dice % 8 == 0))
				step_rest(&m, pool, i, until, dice % 4 == 0);
			compare(&m, pool);
		}
		guid_pool_free(pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_range_that_cannot_be_is_refused),
		cmocka_unit_test(test_each_guid_goes_to_one_holder_at_a_time),
		cmocka_unit_test(test_the_start_picks_the_place_and_the_cursor_goes_round),
		cmocka_unit_test(test_a_held_guid_is_refused_until_released),
		cmocka_unit_test(test_a_freed_guid_is_not_handed_out_again_until_all_others_were),
		cmocka_unit_test(test_a_resting_guid_is_refused_and_free_when_its_rest_ends),
		cmocka_unit_test(test_the_longest_resting_is_taken_early_only_when_nothing_else_is_free),
		cmocka_unit_test(test_an_unsure_one_is_never_taken_early),
		cmocka_unit_test(test_rests_of_any_length_end_in_their_order),
		cmocka_unit_test(test_a_guid_nobody_holds_can_be_laid_to_rest_and_never_for_shorter),
		cmocka_unit_test(test_a_blocked_guid_is_never_generated_nor_given_to_one_who_asks),
		cmocka_unit_test(test_a_blocked_one_that_rests_is_not_taken_early),
		cmocka_unit_test(test_force_overrides_rest_and_block_but_no_holder),
		cmocka_unit_test(test_releasing_what_is_not_held_is_a_bug),
		cmocka_unit_test(test_the_edges_of_all_guids_are_a_range_like_any_other),
		cmocka_unit_test(test_the_default_range_is_gone_round_without_forgetting_a_holder),
		cmocka_unit_test(test_a_large_range_can_be_used_up_and_freed_and_used_again),
		cmocka_unit_test(test_against_a_plain_array_it_agrees_at_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
