// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "ufmsync/metrics.h"

static const uint32_t bounds[] = { 5, 50, 500, 2500, 10000, 0 };
static struct buf out;

static int setup(void **state)
{
	(void)state;
	buf_init(&out, 64 * 1024);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&out);
	return 0;
}

static void test_a_family_has_its_head_once_and_its_samples_behind_it(void **state)
{
	(void)state;
	metrics_gauge(&out, "a_b", "What it is.", 7);
	metrics_counters(&out, "c_total", "How many.", "kind", (const char *const[]){ "x", "y", NULL },
			 (const uint64_t[]){ 0, UINT64_MAX });
	assert_string_equal(out.data, "# HELP a_b What it is.\n# TYPE a_b gauge\na_b 7\n"
				      "# HELP c_total How many.\n# TYPE c_total counter\n"
				      "c_total{kind=\"x\"} 0\nc_total{kind=\"y\"} 18446744073709551615\n");
}

static void test_buckets_add_up_and_end_with_everything(void **state)
{
	struct histogram h;
	(void)state;
	histogram_init(&h, bounds);
	histogram_add(&h, 4);
	histogram_add(&h, 49);
	histogram_add(&h, 60000);
	metrics_sample_histogram(&out, "t_seconds", "op=\"x\"", &h);
	assert_string_equal(out.data, "t_seconds_bucket{op=\"x\",le=\"0.005\"} 1\n"
				      "t_seconds_bucket{op=\"x\",le=\"0.05\"} 2\n"
				      "t_seconds_bucket{op=\"x\",le=\"0.5\"} 2\n"
				      "t_seconds_bucket{op=\"x\",le=\"2.5\"} 2\n"
				      "t_seconds_bucket{op=\"x\",le=\"10\"} 2\n"
				      "t_seconds_bucket{op=\"x\",le=\"+Inf\"} 3\n"
				      "t_seconds_sum{op=\"x\"} 60.053\n"
				      "t_seconds_count{op=\"x\"} 3\n");
}

static void test_without_labels_only_le_stands_in_the_braces(void **state)
{
	static const uint32_t one[] = { 1000, 0 };
	struct histogram h;
	(void)state;
	histogram_init(&h, one);
	metrics_sample_histogram(&out, "t_seconds", "", &h);
	assert_string_equal(out.data, "t_seconds_bucket{le=\"1\"} 0\nt_seconds_bucket{le=\"+Inf\"} 0\n"
				      "t_seconds_sum 0\nt_seconds_count 0\n");
}

static void test_milliseconds_are_written_as_seconds(void **state)
{
	(void)state;
	metrics_sample_ms(&out, "a", "", 1795430956207);
	metrics_sample_ms(&out, "b", "x=\"y\"", 20);
	metrics_sample_ms(&out, "c", "", -3);
	metrics_sample_ms(&out, "d", "", 100);
	assert_string_equal(out.data, "a 1795430956.207\nb{x=\"y\"} 0.02\nc 0\nd 0.1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_family_has_its_head_once_and_its_samples_behind_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_buckets_add_up_and_end_with_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_labels_only_le_stands_in_the_braces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_milliseconds_are_written_as_seconds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
