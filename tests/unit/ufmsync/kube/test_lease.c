#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ufmsync/kube/lease.h"

static enum lease_step step(bool exists, const char *holder, int64_t unchanged_ms)
{
	const struct lease_seen seen = { exists, holder, unchanged_ms, 15000 };

	return lease_decide(&seen, "me");
}

static void test_a_missing_lease_is_created(void **state)
{
	(void)state;
	assert_int_equal(step(false, "", 0), LEASE_CREATE);
}

static void test_a_released_lease_and_our_own_are_taken_at_once(void **state)
{
	(void)state;
	assert_int_equal(step(true, "", 0), LEASE_TAKE);
	assert_int_equal(step(true, "me", 0), LEASE_TAKE);
}

static void test_anothers_lease_is_left_alone_until_it_was_silent_for_its_own_duration(void **state)
{
	(void)state;
	assert_int_equal(step(true, "other", 0), LEASE_WAIT);
	assert_int_equal(step(true, "other", 15000), LEASE_WAIT);
	assert_int_equal(step(true, "other", 15001), LEASE_TAKE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_missing_lease_is_created),
		cmocka_unit_test(test_a_released_lease_and_our_own_are_taken_at_once),
		cmocka_unit_test(test_anothers_lease_is_left_alone_until_it_was_silent_for_its_own_duration),
	};

	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
