#undef NDEBUG
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

#include "base/json.h"
#include "base/mem.h"
#include "cni/plugin/plugin_log.h"

static const struct plugin_log_line attached = {
	.now_ms = 1767323045678,
	.command = "ADD",
	.outcome = "attached",
	.container = "0a1b",
	.interface = "net1",
	.pod_namespace = "team",
	.pod_name = "job-0",
	.network = "ib",
	.delegate = "ib-sriov",
	.guid = "02:00:00:00:00:00:00:1a",
	.pkey = "0x5",
	.waited_ms = 812,
	.took_ms = 1450,
};

static void test_a_line_says_who_what_and_how_long(void **state)
{
	char *text = plugin_log_text(&attached);

	(void)state;
	assert_string_equal(text,
			    "{\"time\":\"2026-01-02T03:04:05.678Z\",\"command\":\"ADD\",\"outcome\":\"attached\","
			    "\"container\":\"0a1b\",\"interface\":\"net1\",\"pod\":\"team/job-0\",\"network\":\"ib\","
			    "\"delegate\":\"ib-sriov\",\"guid\":\"02:00:00:00:00:00:00:1a\",\"pkey\":\"0x5\","
			    "\"waited_ms\":812,\"took_ms\":1450}\n");
	free(text);
}

static void test_what_is_not_known_is_left_out(void **state)
{
	const struct plugin_log_line line = {
		.command = "DEL", .outcome = "failed", .container = "", .message = "gone", .code = 104, .waited_ms = -1
	};
	char *text = plugin_log_text(&line);

	(void)state;
	assert_string_equal(text, "{\"time\":\"1970-01-01T00:00:00.000Z\",\"command\":\"DEL\",\"outcome\":\"failed\","
				  "\"code\":104,\"message\":\"gone\",\"took_ms\":0}\n");
	free(text);
}

static void test_foreign_text_forges_no_second_line(void **state)
{
	struct plugin_log_line line = attached;
	struct error err;

	(void)state;
	line.interface = "a\nb\"\xff";
	char *text = plugin_log_text(&line);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	json_t *json = json_parse(text, strlen(text), &err);
	assert_string_equal(json_str(json, "interface", NULL), "a\nb\"\xef\xbf\xbd");
	json_decref(json);
	free(text);
}

static char *contents(const char *path)
{
	static char text[4096];
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void test_lines_are_appended_to_a_file_for_root_alone(void **state)
{
	char folder[] = "/tmp/ufmsync-test-plugin-log-XXXXXX";
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(folder));
	char *path = mem_printf("%s/log", folder), *line = plugin_log_text(&attached);
	char *twice = mem_printf("%s%s", line, line);
	plugin_log(path, &attached);
	plugin_log(path, &attached);
	assert_string_equal(contents(path), twice);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(path), 0);
	/* Through a link, nothing. */
	char *target = mem_printf("%s/target", folder);
	assert_int_equal(symlink(target, path), 0);
	plugin_log(path, &attached);
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
	plugin_log(NULL, &attached);
	free(target);
	free(twice);
	free(line);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_says_who_what_and_how_long),
		cmocka_unit_test(test_what_is_not_known_is_left_out),
		cmocka_unit_test(test_foreign_text_forges_no_second_line),
		cmocka_unit_test(test_lines_are_appended_to_a_file_for_root_alone),
	};

	return cmocka_run_group_tests_name("plugin_log", tests, NULL, NULL);
}
