#undef NDEBUG
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/opensm.h"

/* The backend on its loop, without a fabric: OPENSM_VERIFY=none, and a reload command that a test holds or lets fail.
 * What it does on a real OpenSM is in tests/opensm. */

#define OPERATOR "Default=0x7fff,ipoib : ALL=limited, SELF=full ;\n"
/* Notes that it ran; waits at the gate while there is one; fails while that is asked for. */
#define SCRIPT                                                                                                         \
	"#!/bin/sh\ncd %s || exit 9\necho run >>runs\n[ ! -p gate ] || read line <gate\n"                              \
	"[ ! -e broken ] || { echo no such container >&2; exit 3; }\n"

static char folder[64];
static struct loop *loop;
static struct pkey_backend *backend;
static unsigned asked, answers, failures, partitions;
static struct error last_error;
static bool stop_after_turn, free_in_done;
static struct members *seen[PKEY_COUNT];
static size_t n_seen, seen_before, most_a_turn;

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
	int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static char *text_of(const char *name)
{
	static char text[64 * 1024];
	int fd = open(in_folder(name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static unsigned runs(void)
{
	return (unsigned)(strlen(text_of("runs")) / strlen("run\n"));
}

static void turned(void *aux)
{
	(void)aux;
	if (n_seen - seen_before > most_a_turn)
		most_a_turn = n_seen - seen_before;
	seen_before = n_seen;
	if (stop_after_turn)
		loop_stop(loop);
}

static void open_backend_to(bool look_only)
{
	char file[128], reload[128];
	struct error err;
	struct opensm_options options = {
		.file = file, .reload = reload, .canaries = { { 0x7ffc }, { 0x7ffd } }, .look_only = look_only
	};

	snprintf(file, sizeof file, "%s/partitions.conf", folder);
	snprintf(reload, sizeof reload, "command:%s/reload", folder);
	if (opensm_new(&backend, loop, &options, &err) < 0)
		fail_msg("%s", err.text);
}

static void open_backend(void)
{
	open_backend_to(false);
}

static int fresh(void **state)
{
	char script[512];
	struct error err;

	(void)state;
	strcpy(folder, "/tmp/test-opensm-XXXXXX");
	if (!mkdtemp(folder) || loop_new(&loop, &err) < 0)
		return -1;
	snprintf(script, sizeof script, SCRIPT, folder);
	put("reload", script, 0700);
	put("partitions.conf", OPERATOR, 0600);
	asked = answers = failures = partitions = 0;
	n_seen = seen_before = most_a_turn = 0;
	stop_after_turn = free_in_done = false;
	loop_on_turn(loop, turned, NULL);
	open_backend();
	return 0;
}

static void forget_seen(void)
{
	for (size_t i = 0; i < PKEY_COUNT; i++) {
		members_free(seen[i]);
		seen[i] = NULL;
	}
	n_seen = seen_before = 0;
}

static int gone(void **state)
{
	static const char *const names[] = { "reload", "partitions.conf", "runs", "gate", "broken" };

	(void)state;
	pkey_backend_free(backend);
	backend = NULL;
	loop_free(loop);
	forget_seen();
	for (size_t i = 0; i < array_length(names); i++)
		unlink(in_folder(names[i]));
	return rmdir(folder); /* nothing else was left there */
}

/* --- the backend's caller --- */

static void done(void *aux, const struct error *err)
{
	(void)aux;
	answers++;
	if (err) {
		failures++;
		last_error = *err;
	}
	if (free_in_done) {
		pkey_backend_free(backend);
		backend = NULL;
		loop_stop(loop);
	}
	if (answers == asked)
		loop_stop(loop);
}

static void saw_member(void *aux, struct pkey pkey, const struct member *member)
{
	(void)aux;
	if (!seen[pkey.v])
		seen[pkey.v] = members_new();
	assert_true(members_add(seen[pkey.v], *member));
	n_seen++;
}

static void saw_partition(void *aux, struct pkey pkey, int listed_membership)
{
	(void)aux;
	assert_null(seen[pkey.v]);
	assert_int_equal(listed_membership, -1);
	partitions++;
}

static void join(uint16_t pkey, uint64_t guid)
{
	struct pkey_class class = { .pkey = { pkey }, .membership = MEMBERSHIP_FULL };

	asked++;
	backend->class->join(backend, class, &(struct guid){ guid }, 1, INT64_MAX, done, NULL);
}

static void leave(uint16_t pkey, uint64_t guid)
{
	asked++;
	backend->class->leave(backend, (struct pkey){ pkey }, &(struct guid){ guid }, 1, INT64_MAX, done, NULL);
}

static void list(const struct pkey *only)
{
	static const struct pkey_list_sink sink = { saw_member, saw_partition, done, NULL };

	asked++;
	backend->class->list(backend, only, &sink);
}

static void all_answer(unsigned wanted_failures)
{
	loop_run(loop);
	assert_int_equal(answers, asked);
	if (failures != wanted_failures)
		fail_msg("%u failures: %s", failures, last_error.text);
}

/* Turns the loop until the first job stands at the gate; the job goes on with open_gate(). */
static int reach_gate(void)
{
	stop_after_turn = true;
	loop_wake(loop);
	loop_run(loop);
	loop_wake(loop);
	loop_run(loop);
	stop_after_turn = false;
	return open(in_folder("gate"), O_WRONLY | O_CLOEXEC); /* comes back when the other end is open too */
}

static void close_gate(void)
{
	assert_int_equal(mkfifo(in_folder("gate"), 0600), 0);
}

static void open_gate(int gate)
{
	unlink(in_folder("gate"));
	assert_int_equal(write(gate, "\n", 1), 1);
	close(gate);
}

/* --- tests --- */

static void test_members_come_and_go_in_the_file(void **state)
{
	(void)state;
	join(0x5, 0x0200000000000001);
	all_answer(0);
	assert_non_null(strstr(text_of("partitions.conf"), "0x0200000000000001=full ;"));
	assert_null(strstr(text_of("partitions.conf"), "0x7ffc")); /* no canary that nobody looks at */
	list(NULL);
	all_answer(0);
	assert_int_equal(n_seen, 1);
	assert_non_null(members_find(seen[5], (struct guid){ 0x0200000000000001 }));
	leave(0x5, 0x0200000000000001);
	leave(0x6, 0x0200000000000001); /* of a PKey that is not there */
	all_answer(0);
	assert_null(strstr(text_of("partitions.conf"), "0x0005"));
	assert_int_equal(strncmp(text_of("partitions.conf"), OPERATOR, strlen(OPERATOR)), 0);
}

static void test_what_waits_goes_out_in_one_file_and_one_reload(void **state)
{
	(void)state;
	close_gate();
	join(0x5, 1);
	int gate = reach_gate();
	for (uint16_t i = 0; i < 20; i++)
		join((uint16_t)(0x10 + i), i + 1u);
	leave(0x5, 1);
	join(0x5, 2);
	assert_null(strstr(text_of("partitions.conf"), "0x0010"));
	open_gate(gate);
	all_answer(0);
	assert_int_equal(runs(), 2);
	list(NULL);
	all_answer(0);
	assert_int_equal(n_seen, 21);
	assert_null(members_find(seen[5], (struct guid){ 1 })); /* in the order in which they were asked */
	assert_int_equal(partitions, 21);
}

static void test_a_list_sees_the_writes_before_it_and_none_behind_it(void **state)
{
	(void)state;
	close_gate();
	join(0x5, 1);
	int gate = reach_gate();
	join(0x5, 2);
	list(NULL);
	join(0x5, 3);
	open_gate(gate);
	all_answer(0);
	assert_int_equal(members_count(seen[5]), 2);
	assert_null(members_find(seen[5], (struct guid){ 3 }));
}

static void test_freed_while_a_job_runs_nobody_hears_of_it(void **state)
{
	(void)state;
	close_gate();
	join(0x5, 1);
	int gate = reach_gate();
	join(0x5, 2);
	list(NULL);
	pkey_backend_free(backend);
	backend = NULL;
	open_gate(gate);
	loop_free(loop); /* waits for the job */
	loop = NULL;
	assert_int_equal(answers, 0);
	assert_null(strstr(text_of("partitions.conf"), "0x0000000000000002"));
}

static void test_freed_from_an_answer_the_others_are_not_called(void **state)
{
	(void)state;
	join(0x5, 1);
	join(0x5, 2); /* in the same job */
	list(NULL);
	free_in_done = true;
	loop_run(loop);
	assert_int_equal(answers, 1);
}

static void test_freed_before_anything_began(void **state)
{
	(void)state;
	join(0x5, 1);
	pkey_backend_free(backend);
	backend = NULL;
	stop_after_turn = true;
	loop_wake(loop);
	loop_run(loop);
	assert_int_equal(answers, 0);
	assert_int_equal(runs(), 0);
}

/* What was not told to OpenSM is no member, whatever the file says. */
static void test_a_reload_that_fails_is_told_and_made_up_for(void **state)
{
	(void)state;
	put("broken", "", 0600);
	join(0x5, 1);
	all_answer(1);
	assert_int_equal(last_error.kind, ERROR_RETRY);
	assert_non_null(strstr(last_error.text, "no such container"));
	list(NULL);
	all_answer(2);
	assert_int_equal(last_error.kind, ERROR_RETRY);
	assert_int_equal(n_seen, 0);
	unlink(in_folder("broken"));
	unsigned before = runs();
	list(NULL);
	all_answer(2);
	assert_int_equal(n_seen, 1);
	forget_seen();
	list(NULL);
	all_answer(2);
	assert_int_equal(n_seen, 1);
	assert_int_equal(runs(), before + 1);
}

static void test_a_start_takes_nothing_in_the_file_for_read(void **state)
{
	(void)state;
	put("broken", "", 0600);
	join(0x5, 1);
	all_answer(1);
	pkey_backend_free(backend); /* it is restarted */
	open_backend();
	list(NULL);
	all_answer(2);
	unlink(in_folder("broken"));
	list(NULL);
	all_answer(2);
	assert_int_equal(n_seen, 1);
}

/* An older copy put back by somebody: OpenSM need not have read it. */
static void test_a_file_that_somebody_changed_is_told_before_it_counts(void **state)
{
	char *old;

	(void)state;
	join(0x5, 1);
	all_answer(0);
	old = mem_dup(text_of("partitions.conf"));
	join(0x5, 2);
	list(NULL);
	all_answer(0);
	unsigned before = runs();
	put("partitions.conf", old, 0600);
	free(old);
	forget_seen();
	list(NULL);
	all_answer(0);
	assert_int_equal(n_seen, 1);
	assert_int_equal(runs(), before + 1);
	forget_seen();
	list(NULL);
	all_answer(0);
	assert_int_equal(runs(), before + 1);
}

static void test_a_file_that_does_not_parse_is_waited_for(void **state)
{
	(void)state;
	put("partitions.conf", OPERATOR "oops\n", 0600);
	join(0x5, 1);
	list(NULL);
	all_answer(2);
	assert_int_equal(last_error.kind, ERROR_RETRY);
	assert_non_null(strstr(last_error.text, "line 2"));
	assert_string_equal(text_of("partitions.conf"), OPERATOR "oops\n");
	put("partitions.conf", OPERATOR, 0600);
	join(0x5, 1);
	all_answer(2);
}

static void write_big_file(unsigned big, unsigned members)
{
	FILE *file = fopen(in_folder("partitions.conf"), "w");

	assert_non_null(file);
	fputs(OPERATOR "# BEGIN ufmsync: x\n", file);
	for (unsigned i = 1; i <= big; i++) {
		fprintf(file, "ufmsync_%04x=0x%04x,ipoib :\n", i, i);
		for (unsigned j = 1; j <= members; j++)
			fprintf(file, "0x%016x=full%s\n", j, j < members ? "," : " ;");
	}
	fputs("# END ufmsync\n", file);
	fclose(file);
}

static void test_a_long_list_comes_in_slices(void **state)
{
	(void)state;
	write_big_file(40, 512);
	list(NULL);
	all_answer(0);
	assert_int_equal(n_seen, 40 * 512);
	assert_int_equal(partitions, 40);
	assert_true(most_a_turn <= 4096);
	forget_seen();
	partitions = 0;
	list(&(struct pkey){ 7 });
	list(&(struct pkey){ 0x777 });
	all_answer(0);
	assert_int_equal(n_seen, 512);
	assert_int_equal(members_count(seen[7]), 512);
	assert_int_equal(partitions, 1);
}

/* Freed between two slices: the rest is not handed out. */
static void test_freed_in_the_middle_of_a_list(void **state)
{
	(void)state;
	write_big_file(40, 512);
	list(NULL);
	stop_after_turn = true;
	while (n_seen == 0) {
		loop_wake(loop);
		loop_run(loop);
	}
	assert_true(n_seen < 40 * 512);
	size_t before = n_seen;
	pkey_backend_free(backend);
	backend = NULL;
	loop_wake(loop);
	loop_run(loop);
	assert_int_equal(n_seen, before);
	assert_int_equal(answers, 0);
}

/* Perhaps beside a service that is just writing: its temporary file is not ours to tidy up. */
static void test_who_only_looks_leaves_everything_as_it_is(void **state)
{
	(void)state;
	join(0x5, 1);
	all_answer(0);
	pkey_backend_free(backend);
	unsigned before = runs();
	char *text = mem_dup(text_of("partitions.conf"));
	put(".partitions.conf.ufmsync", "half", 0600);
	open_backend_to(true);
	list(NULL);
	all_answer(0);
	assert_int_equal(n_seen, 1);
	join(0x5, 2);
	all_answer(1);
	assert_int_equal(last_error.kind, ERROR_INVALID);
	leave(0x5, 1);
	all_answer(2);
	assert_string_equal(text_of("partitions.conf"), text);
	assert_string_equal(text_of(".partitions.conf.ufmsync"), "half");
	assert_int_equal(runs(), before);
	unlink(in_folder(".partitions.conf.ufmsync"));
	free(text);
}

static char measured[256];
static void on_ended(void *aux, enum pkey_operation operation, enum call_outcome outcome, int64_t ms)
{
	size_t n = strlen(measured);

	(void)aux;
	assert_true(ms >= 0);
	snprintf(measured + n, sizeof measured - n, "%s:%s ", pkey_operation_name(operation),
		 call_outcome_name(outcome));
}

static void test_each_job_is_measured_and_what_went_into_one_file_is_one(void **state)
{
	const struct pkey five = { 5 };

	(void)state;
	backend->observer.ended = on_ended;
	list(NULL);
	all_answer(0);
	join(0x5, 1);
	all_answer(0);
	leave(0x5, 1);
	list(&five);
	all_answer(0);
	put("broken", "", 0600);
	join(0x5, 1);
	all_answer(1);
	assert_string_equal(measured, "list_all:ok join:ok leave:ok list:ok join:unavailable ");
}

static void test_a_file_that_cannot_be_used_is_said_at_the_start(void **state)
{
	struct opensm_options options = { .file = "/nonexistent/partitions.conf", .reload = "process" };
	struct pkey_backend *other = NULL;
	struct error err;

	(void)state;
	assert_int_equal(opensm_new(&other, loop, &options, &err), -1);
	assert_non_null(strstr(err.text, "/nonexistent"));
	options.file = in_folder("partitions.conf");
	options.reload = "magic";
	assert_int_equal(opensm_new(&other, loop, &options, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_null(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_members_come_and_go_in_the_file, fresh, gone),
		cmocka_unit_test_setup_teardown(test_what_waits_goes_out_in_one_file_and_one_reload, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_list_sees_the_writes_before_it_and_none_behind_it, fresh, gone),
		cmocka_unit_test_setup_teardown(test_freed_while_a_job_runs_nobody_hears_of_it, fresh, gone),
		cmocka_unit_test_setup_teardown(test_freed_from_an_answer_the_others_are_not_called, fresh, gone),
		cmocka_unit_test_setup_teardown(test_freed_before_anything_began, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_reload_that_fails_is_told_and_made_up_for, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_start_takes_nothing_in_the_file_for_read, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_file_that_somebody_changed_is_told_before_it_counts, fresh,
						gone),
		cmocka_unit_test_setup_teardown(test_a_file_that_does_not_parse_is_waited_for, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_long_list_comes_in_slices, fresh, gone),
		cmocka_unit_test_setup_teardown(test_freed_in_the_middle_of_a_list, fresh, gone),
		cmocka_unit_test_setup_teardown(test_who_only_looks_leaves_everything_as_it_is, fresh, gone),
		cmocka_unit_test_setup_teardown(test_each_job_is_measured_and_what_went_into_one_file_is_one, fresh,
						gone),
		cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_used_is_said_at_the_start, fresh, gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
