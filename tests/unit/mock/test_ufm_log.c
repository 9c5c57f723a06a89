#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/mock/ufm_log.h"

static struct ufm_log *log_;

static int setup(void **state)
{
	(void)state;
	log_ = ufm_log_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ufm_log_free(log_);
	return 0;
}

static uint64_t begin(const char *path, const char *body, size_t body_len)
{
	return ufm_log_begin(log_, &(struct ufm_log_entry){ .started_ms = 1000,
							    .client = (char *)(uintptr_t) "some\xff"
											  "body/1",
							    .method = (char *)(uintptr_t) "POST",
							    .path = (char *)(uintptr_t)path,
							    .body = (char *)(uintptr_t)body,
							    .body_len = body_len,
							    .operation = UFM_OP_ADD,
							    .pkey = 5 });
}

static void test_an_entry_is_open_until_it_ends_and_ends_once(void **state)
{
	uint64_t seq = begin("/a", NULL, 0);

	(void)state;
	assert_int_equal(ufm_log_find(log_, seq)->outcome, UFM_OUTCOME_OPEN);
	ufm_log_end(log_, seq, UFM_OUTCOME_ANSWERED, 200, 1025);
	ufm_log_end(log_, seq, UFM_OUTCOME_GONE, 0, 2000);
	assert_int_equal(ufm_log_find(log_, seq)->outcome, UFM_OUTCOME_ANSWERED);
	assert_int_equal(ufm_log_find(log_, seq)->status, 200);
	assert_int_equal(ufm_log_find(log_, seq)->duration_ms, 25);
}

static void test_the_oldest_give_way(void **state)
{
	uint64_t first = begin("/a", NULL, 0), last = first;

	(void)state;
	for (int i = 0; i < UFM_LOG_ENTRIES; i++)
		last = begin("/b", NULL, 0);
	assert_null(ufm_log_find(log_, first));
	assert_non_null(ufm_log_find(log_, first + 1));
	assert_non_null(ufm_log_find(log_, last));
	ufm_log_end(log_, first, UFM_OUTCOME_ANSWERED, 200, 0);
	ufm_log_clear(log_);
	assert_null(ufm_log_find(log_, last));
	assert_int_equal(begin("/c", NULL, 0), last + 1);
}

static void test_bodies_are_cut_and_bounded_in_all(void **state)
{
	size_t len = UFM_LOG_BODY_MAX + 100;
	char *body = mem_alloc(len + 1);
	uint64_t first, seq;

	(void)state;
	memset(body, 'x', len);
	first = seq = begin("/a", body, len);
	assert_int_equal(strlen(ufm_log_find(log_, seq)->body), UFM_LOG_BODY_MAX);
	assert_int_equal(ufm_log_find(log_, seq)->body_len, len);
	for (size_t total = 0; total < UFM_LOG_BYTES_MAX; total += UFM_LOG_BODY_MAX)
		seq = begin("/a", body, len);
	assert_null(ufm_log_find(log_, first));
	assert_non_null(ufm_log_find(log_, seq));
	free(body);
}

static void test_filters_and_foreign_bytes(void **state)
{
	struct ufm_log_filter filter = { .path_prefix = "/b", .operation = "add" };
	struct buf json;

	(void)state;
	begin("/a", NULL, 0);
	assert_false(ufm_log_has(log_, &filter));
	uint64_t seq = begin("/b\xff\x01", "\"\n\0x", 4);
	assert_true(ufm_log_has(log_, &filter));
	buf_init(&json, 4096);
	ufm_log_print(log_, &filter, &json);
	assert_non_null(strstr(json.data, "\"path\": \"/b??\""));
	assert_non_null(strstr(json.data, "\"client\": \"some?body/1\""));
	assert_non_null(strstr(json.data, "\"body\": \"\\\" ?x\""));
	buf_free(&json);
	filter.after = seq;
	assert_false(ufm_log_has(log_, &filter));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_entry_is_open_until_it_ends_and_ends_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_oldest_give_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bodies_are_cut_and_bounded_in_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filters_and_foreign_bytes, setup, teardown),
	};
	return cmocka_run_group_tests_name("mock_ufm_log", tests, NULL, NULL);
}
