#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

/* stderr of the program is one end of a socket that keeps the borders of writes: one recv() is one write(2). */
static int reader, real_stderr;

static int capture(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	real_stderr = dup(STDERR_FILENO);
	assert_true(dup2(ends[0], STDERR_FILENO) >= 0);
	close(ends[0]);
	reader = ends[1];
	return 0;
}

static int restore(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(reader);
	return 0;
}

/* What one write(2) wrote; NULL when there was none.  It is exactly one line. */
static char *written(void)
{
	static char line[128 * 1024];
	ssize_t n = recv(reader, line, sizeof line - 1, 0);

	if (n < 0)
		return NULL;
	line[n] = '\0';
	assert_int_equal(strlen(line), n);
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	return line;
}

static json_t *written_json(void)
{
	struct error err;
	char *line = written();

	assert_non_null(line);
	json_t *root = json_parse(line, strlen(line), &err);
	if (!root)
		fail_msg("%s: %s", err.text, line);
	return root;
}

static void test_a_json_line_has_time_level_id_message_and_fields(void **state)
{
	int64_t ms;

	(void)state;
	log_init("prog", LOG_AUTO, LOG_INFO);
	log_say(LOG_WARN, "POOL_EXHAUSTED", LOG_FIELDS({ "pool", "02:00" }, { "none", NULL }), "no %s is free", "GUID");
	__attribute__((cleanup(json_freep))) json_t *root = written_json();
	assert_true(json_time_ms(&ms, json_str(root, "time", NULL)));
	assert_string_equal(json_str(root, "level", NULL), "warn");
	assert_string_equal(json_str(root, "program", NULL), "prog");
	assert_string_equal(json_str(root, "id", NULL), "POOL_EXHAUSTED");
	assert_string_equal(json_str(root, "message", NULL), "no GUID is free");
	assert_string_equal(json_str(root, "pool", NULL), "02:00");
	assert_int_equal(json_object_size(root), 6);
	assert_null(written());
}

static void test_a_text_line_is_read_by_people_and_has_no_colours_off_a_terminal(void **state)
{
	(void)state;
	log_init("prog", LOG_TEXT, LOG_DEBUG);
	log_say(LOG_DEBUG, "AN_ID", LOG_FIELDS({ "a", "x" }, { "b", "two words" }, { "c", "" }, { "d", "q\"q" }),
		"hello");
	char *line = written();
	assert_non_null(line);
	assert_string_equal(line + strlen("2026-01-02T03:04:05.678Z"),
			    " DEBUG AN_ID hello a=x b=\"two words\" c=\"\" d=\"q\\\"q\"\n");
	log_say(LOG_ERROR, NULL, NULL, "plain");
	line = written();
	assert_string_equal(line + strlen("2026-01-02T03:04:05.678Z"), " ERROR plain\n");
}

static const char hostile[] =
	"a\nb\r\"c\"\\ \x1b[2J \x7f \xc2\x9b \xe2\x80\xa8 \xff\xc3 \xed\xa0\x80 \xc3\xa4 \xf0\x9f\x98\x80";

static void test_foreign_text_stays_one_line_of_valid_json(void **state)
{
	(void)state;
	log_init(NULL, LOG_JSON, LOG_INFO);
	log_say(LOG_INFO, "X", LOG_FIELDS({ "value", hostile }), "%s", hostile);
	__attribute__((cleanup(json_freep))) json_t *root = written_json();
	const char *expected =
		"a\nb\r\"c\"\\ \x1b[2J \x7f \xc2\x9b \xe2\x80\xa8 \\xff\\xc3 \\xed\\xa0\\x80 \xc3\xa4 \xf0\x9f\x98\x80";
	assert_string_equal(json_str(root, "message", NULL), expected);
	assert_string_equal(json_str(root, "value", NULL), expected);
}

static void test_foreign_text_cannot_steer_a_terminal(void **state)
{
	(void)state;
	log_init(NULL, LOG_TEXT, LOG_INFO);
	log_say(LOG_INFO, "X", NULL, "%s", hostile);
	assert_string_equal(written() + strlen("2026-01-02T03:04:05.678Z INFO X "),
			    "a\\nb\\r\"c\"\\\\ \\u001b[2J \\u007f \\u009b \\u2028 \\xff\\xc3 \\xed\\xa0\\x80 \xc3\xa4 "
			    "\xf0\x9f\x98\x80\n");
}

static void test_whatever_its_length_a_line_is_bounded_and_valid(void **state)
{
	char *large = mem_alloc(100001), *wide = mem_alloc(9001);

	(void)state;
	memset(large, '\x01', 100000);
	for (int i = 0; i < 9000; i += 2)
		memcpy(wide + i, "\xc3\xa4", 2);
	log_init(NULL, LOG_JSON, LOG_INFO);
	/* The second field does not fit any more, the third does. */
	log_say(LOG_INFO, "X", LOG_FIELDS({ "wide", wide + 0 }, { "large", large }, { "small", "s" }), "%s", large);
	json_t *root = written_json();
	assert_int_equal(strlen(json_str(root, "message", NULL)), 8 * 1024 + 3);
	assert_string_equal(json_str(root, "wide", NULL) + 8 * 1024, "...");
	assert_null(json_at(root, "large", NULL));
	assert_string_equal(json_str(root, "small", NULL), "s");
	json_decref(root);
	/* A character is not cut in two. */
	wide[0] = 'x';
	wide[1] = 'y';
	log_say(LOG_INFO, "X", LOG_FIELDS({ "wide", wide + 1 }), "m");
	root = written_json();
	assert_int_equal(strlen(json_str(root, "wide", NULL)), 8 * 1024 - 1 + 3);
	json_decref(root);
	log_init(NULL, LOG_TEXT, LOG_INFO);
	log_say(LOG_INFO, "X", LOG_FIELDS({ "a", large }, { "b", large }), "%s", large);
	assert_non_null(written());
	free(large);
	free(wide);
}

static void test_a_level_below_the_least_is_not_logged(void **state)
{
	struct log_limit limit = { 0 };
	enum log_level level;

	(void)state;
	assert_true(log_level_parse(&level, "warn"));
	assert_int_equal(level, LOG_WARN);
	assert_false(log_level_parse(&level, "WARN"));
	assert_false(log_level_parse(&level, ""));
	log_init(NULL, LOG_JSON, level);
	log_say(LOG_INFO, "X", NULL, "m");
	log_limited(&limit, 1, LOG_INFO, "X", NULL, "m");
	assert_null(written());
	assert_int_equal(limit.said, 0);
	log_limited(&limit, 1, LOG_WARN, "X", NULL, "m");
	assert_non_null(written());
}

static bool says(const char *part)
{
	char *line = written();

	return line && strstr(line, part);
}

static void test_a_repeating_message_goes_quiet_and_says_so(void **state)
{
	struct log_limit limit = { 0 };

	(void)state;
	log_init(NULL, LOG_JSON, LOG_INFO);
	log_limited(&limit, 2, LOG_INFO, "X", NULL, "m %d", 1);
	assert_true(says("\"m 1\""));
	log_limited(&limit, 2, LOG_INFO, "X", NULL, "m %d", 2);
	assert_true(says("\"m 2 (further ones are not logged for a minute)\""));
	for (int i = 0; i < 37; i++)
		log_limited(&limit, 2, LOG_INFO, "X", NULL, "m");
	assert_null(written());
	/* A minute later. */
	limit.window_start_ms -= 60 * 1000;
	log_limited(&limit, 2, LOG_INFO, "X", NULL, "m");
	assert_true(says("\"m (37 more of these were not logged)\""));
	log_limited(&limit, 2, LOG_INFO, "X", NULL, "m");
	assert_true(says("\"m (further ones are not logged for a minute)\""));
	log_limited(&limit, 2, LOG_INFO, "X", NULL, "m");
	assert_null(written());
	/* Nothing was left out in this window: nothing is said about it in the next. */
	limit.suppressed = 0;
	limit.window_start_ms -= 60 * 1000;
	log_limited(&limit, 2, LOG_INFO, "X", NULL, "m");
	assert_true(says("\"m\""));
}

static void test_a_reader_that_does_not_read_costs_lines_and_nothing_else(void **state)
{
	unsigned lines = 0;

	(void)state;
	log_init(NULL, LOG_JSON, LOG_INFO);
	for (int i = 0; i < 5000; i++)
		log_say(LOG_INFO, "X", NULL, "message %d of many that nobody reads for now", i);
	while (written())
		lines++;
	assert_in_range(lines, 1, 4999);
	log_say(LOG_INFO, "X", NULL, "read again");
	assert_true(says("read again"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_json_line_has_time_level_id_message_and_fields),
		cmocka_unit_test(test_a_text_line_is_read_by_people_and_has_no_colours_off_a_terminal),
		cmocka_unit_test(test_foreign_text_stays_one_line_of_valid_json),
		cmocka_unit_test(test_foreign_text_cannot_steer_a_terminal),
		cmocka_unit_test(test_whatever_its_length_a_line_is_bounded_and_valid),
		cmocka_unit_test(test_a_level_below_the_least_is_not_logged),
		cmocka_unit_test(test_a_repeating_message_goes_quiet_and_says_so),
		cmocka_unit_test(test_a_reader_that_does_not_read_costs_lines_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, capture, restore);
}
