#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/mock/ufm_model.h"

static const struct ufm_settings none;

static struct ufm_model *model;

static int setup(void **state)
{
	(void)state;
	model = ufm_model_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ufm_model_free(model);
	return 0;
}

static void add(unsigned pkey, uint64_t guid, bool limited, bool index0)
{
	ufm_model_add(model, pkey, &none, &(struct ufm_member){ guid, limited, index0 }, 1);
}

static void drop(unsigned pkey, uint64_t guid)
{
	assert_true(ufm_model_remove(model, pkey, &guid, 1));
}

static const struct ufm_member *find(unsigned pkey, uint64_t guid)
{
	const struct ufm_partition *partition = ufm_model_get(model, UFM_VIEW_MODEL, pkey);

	return partition ? ufm_partition_find(partition, guid) : NULL;
}

static void test_the_management_partition_is_there_and_nothing_else(void **state)
{
	const struct ufm_partition *first = ufm_model_next(model, UFM_VIEW_MODEL, 0);

	(void)state;
	assert_int_equal(first->pkey, UFM_PKEY_MANAGEMENT);
	assert_string_equal(first->name, "management");
	assert_null(ufm_model_next(model, UFM_VIEW_MODEL, first->pkey));
}

static void test_adding_creates_and_keeps_who_is_there(void **state)
{
	(void)state;
	add(0x2fb, 1, false, true);
	add(0x2fb, 2, true, false);
	assert_string_equal(ufm_model_get(model, UFM_VIEW_MODEL, 0x2fb)->name, "api_pkey_0x2fb");
	assert_true(find(0x2fb, 1)->index0);
	assert_true(find(0x2fb, 2)->limited);
	assert_int_equal(ufm_model_members(model, UFM_VIEW_MODEL), 2);
}

static void test_adding_again_updates_in_place(void **state)
{
	(void)state;
	add(5, 1, true, false);
	add(5, 1, false, true);
	assert_int_equal(ufm_model_members(model, UFM_VIEW_MODEL), 1);
	assert_false(find(5, 1)->limited);
	assert_true(find(5, 1)->index0);
}

static void test_the_last_member_takes_the_partition_along(void **state)
{
	struct ufm_qos qos = { 4, 1, 1000 };

	(void)state;
	add(5, 1, false, true);
	assert_true(ufm_model_set_qos(model, 5, &qos));
	drop(5, 9);
	assert_non_null(ufm_model_get(model, UFM_VIEW_MODEL, 5));
	drop(5, 1);
	assert_null(ufm_model_get(model, UFM_VIEW_MODEL, 5));
	assert_false(ufm_model_set_qos(model, 5, &qos));
	add(5, 1, false, true);
	assert_int_equal(ufm_model_get(model, UFM_VIEW_MODEL, 5)->qos.rate_tenths, 25);
}

static void test_set_replaces_the_whole_list(void **state)
{
	static const struct ufm_member members[] = { { 2, true, false }, { 3, false, false } };

	(void)state;
	add(5, 1, false, true);
	add(5, 2, false, true);
	ufm_model_set(model, 5, &none, members, 2);
	assert_null(find(5, 1));
	assert_true(find(5, 2)->limited);
	assert_non_null(find(5, 3));
	assert_int_equal(ufm_model_members(model, UFM_VIEW_MODEL), 2);
	assert_int_equal(ufm_model_index0_conflicts(model), 0);
}

static void test_a_second_index0_partition_is_a_conflict_until_it_is_gone(void **state)
{
	(void)state;
	add(5, 1, false, true);
	add(5, 1, false, true);
	assert_int_equal(ufm_model_index0_violations(model), 0);
	add(6, 1, false, true);
	add(7, 1, true, false);
	assert_int_equal(ufm_model_index0_conflicts(model), 1);
	add(6, 1, false, false);
	assert_int_equal(ufm_model_index0_conflicts(model), 0);
	add(6, 1, false, true);
	assert_true(ufm_model_delete(model, 5));
	assert_int_equal(ufm_model_index0_conflicts(model), 0);
	assert_int_equal(ufm_model_index0_violations(model), 2);
}

static void test_the_fabric_takes_over_at_the_end_of_a_sweep(void **state)
{
	(void)state;
	add(5, 1, false, true);
	ufm_model_settle(model, 1000, 50);
	assert_int_equal(ufm_model_deadline(model), 1050);
	add(6, 2, false, true);
	ufm_model_settle(model, 1049, 50);
	assert_null(ufm_model_get(model, UFM_VIEW_FABRIC, 5));
	ufm_model_settle(model, 1050, 50);
	assert_non_null(ufm_model_get(model, UFM_VIEW_FABRIC, 5));
	assert_non_null(ufm_partition_find(ufm_model_get(model, UFM_VIEW_FABRIC, 6), 2));
	assert_true(ufm_model_fabric_is_current(model));
	assert_int_equal(ufm_model_deadline(model), INT64_MAX);
	drop(5, 1);
	ufm_model_settle(model, 2000, 0);
	assert_null(ufm_model_get(model, UFM_VIEW_FABRIC, 5));
	assert_int_equal(ufm_model_members(model, UFM_VIEW_FABRIC), 1);
}

static void test_a_wedged_subnet_manager_never_follows(void **state)
{
	(void)state;
	add(5, 1, false, true);
	ufm_model_settle(model, 1000, 50);
	ufm_model_settle(model, 1010, -1);
	assert_int_equal(ufm_model_deadline(model), INT64_MAX);
	assert_null(ufm_model_get(model, UFM_VIEW_FABRIC, 5));
	assert_false(ufm_model_fabric_is_current(model));
}

static void test_a_broken_file_empties_the_fabric_until_the_next_sweep(void **state)
{
	(void)state;
	add(5, 1, false, true);
	ufm_model_settle(model, 0, 0);
	ufm_model_break_fabric(model);
	assert_null(ufm_model_get(model, UFM_VIEW_FABRIC, 5));
	assert_non_null(ufm_model_get(model, UFM_VIEW_FABRIC, UFM_PKEY_MANAGEMENT));
	ufm_model_settle(model, 0, 0);
	assert_non_null(ufm_model_get(model, UFM_VIEW_FABRIC, 5));
}

static void test_a_hundred_thousand_members_come_and_go(void **state)
{
	enum { N = 100000 };
	struct ufm_member *members = mem_array(N, sizeof(*members));
	uint64_t *guids = mem_array(N, sizeof(*guids));

	(void)state;
	for (size_t i = 0; i < N; i++)
		members[i].guid = guids[i] = 0x0200000000000000 + i;
	ufm_model_add(model, 5, &none, members, N);
	ufm_model_add(model, 5, &none, members, N);
	assert_int_equal(ufm_model_members(model, UFM_VIEW_MODEL), N);
	assert_true(ufm_model_remove(model, 5, guids, N / 2));
	assert_null(find(5, guids[N / 2 - 1]));
	for (size_t i = N / 2; i < N; i++)
		assert_int_equal(find(5, guids[i])->guid, guids[i]);
	assert_true(ufm_model_remove(model, 5, guids + N / 2, N / 2));
	assert_null(ufm_model_get(model, UFM_VIEW_MODEL, 5));
	free(members);
	free(guids);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_management_partition_is_there_and_nothing_else, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_adding_creates_and_keeps_who_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adding_again_updates_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_last_member_takes_the_partition_along, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_replaces_the_whole_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_second_index0_partition_is_a_conflict_until_it_is_gone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_fabric_takes_over_at_the_end_of_a_sweep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_wedged_subnet_manager_never_follows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_broken_file_empties_the_fabric_until_the_next_sweep, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_hundred_thousand_members_come_and_go, setup, teardown),
	};
	return cmocka_run_group_tests_name("mock_ufm_model", tests, NULL, NULL);
}
