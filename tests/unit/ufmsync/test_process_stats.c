// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ufmsync/process_stats.h"

static struct loop *loop;
static struct process_stats *stats;
static uint64_t wanted_files;

static int setup(void **state)
{
	struct error err;
	(void)state;
	if (loop_new(&loop, &err) < 0)
		return -1;
	stats = process_stats_new(loop);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	process_stats_free(stats);
	loop_free(loop);
	return 0;
}

static struct process_figures read_now(void)
{
	struct process_figures figures;
	process_stats_read(stats, &figures);
	return figures;
}

static void test_the_figures_are_those_of_this_process(void **state)
{
	struct process_figures before = read_now(), after;
	struct rlimit limit;
	int64_t wall = loop_wall_ms();
	(void)state;
	do
		after = read_now();
	while (after.cpu_ms < before.cpu_ms + 5);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(after.open_files_max, limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur);
	assert_true(after.resident_bytes >= 100 * 1024 && after.resident_bytes < after.virtual_bytes);
	assert_true(after.started_wall_ms <= wall && after.started_wall_ms > wall - 3600 * 1000);
	assert_int_equal(after.started_wall_ms, before.started_wall_ms);
}

static void shown(void *aux)
{
	(void)aux;
	if (read_now().open_files == wanted_files)
		loop_stop(loop);
	else
		loop_wake(loop);
}

static void count_some(void)
{
	int more[50];
	wanted_files = read_now().open_files + 50;
	for (size_t i = 0; i < 50; i++) {
		more[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(more[i] >= 0);
	}
	loop_on_turn(loop, shown, NULL);
	loop_wake(loop);
	loop_run(loop);
	for (size_t i = 0; i < 50; i++)
		close(more[i]);
	wanted_files -= 50;
	loop_run(loop);
}

static void test_open_files_are_counted(void **state)
{
	(void)state;
	count_some();
}

static void test_where_the_kernel_does_not_tell_them_they_are_counted_while_the_loop_goes_on(void **state)
{
	uint64_t told = read_now().open_files;
	(void)state;
	process_stats_count_slowly(stats);
	assert_int_equal(read_now().open_files, told);
	count_some();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_figures_are_those_of_this_process, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_files_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_where_the_kernel_does_not_tell_them_they_are_counted_while_the_loop_goes_on, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
