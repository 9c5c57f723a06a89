#undef NDEBUG
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
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
#include "cni/plugin/delegate.h"

static char folder[] = "/tmp/ufmsync-test-delegate-XXXXXX";
static char *names[32];
static unsigned n_names;

static char *script(const char *name, const char *text, mode_t mode)
{
	char *path = mem_printf("%s/%s", folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", text);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	assert_true(n_names < array_length(names));
	names[n_names++] = path;
	return path;
}

static struct delegate_result run(const char *binary, const char *command, const char *config)
{
	struct delegate_result result;
	struct cni_error err;

	if (delegate_run(&result, binary, command, config, &err) < 0)
		fail_msg("%s", err.message);
	return result;
}

static void test_config_goes_in_and_the_output_comes_out_unchanged(void **state)
{
	struct delegate_result result = run(script("echo", "cat; printf ' \\n\\377x\\n'", 0700), NULL, "{\"a\":1}");

	(void)state;
	assert_int_equal(result.status, 0);
	assert_int_equal(result.signal, 0);
	assert_int_equal(result.output.len, 7 + 5);
	assert_memory_equal(result.output.data, "{\"a\":1} \n\xffx\n", 12);
	delegate_result_free(&result);
}

static void test_much_goes_both_ways_at_once(void **state)
{
	/* Neither side reads all before it writes: a pipe holds 64 KiB. */
	const size_t size = 1 << 20;
	char *config = mem_alloc(size + 1);
	struct delegate_result result;

	(void)state;
	memset(config, 'x', size);
	result = run("/bin/cat", NULL, config);
	assert_int_equal(result.output.len, size);
	assert_memory_equal(result.output.data, config, size);
	delegate_result_free(&result);
	result = run(script("late", "head -c 1000000 /dev/zero; cat >/dev/null", 0700), NULL, config);
	assert_int_equal(result.output.len, 1000000);
	delegate_result_free(&result);
	free(config);
}

static void test_a_delegate_need_not_read(void **state)
{
	const size_t size = 1 << 20;
	char *config = mem_alloc(size + 1);

	(void)state;
	memset(config, 'x', size);
	struct delegate_result result = run(script("deaf", "exec <&-; echo hello; exit 3", 0700), NULL, config);
	assert_int_equal(result.status, 3);
	assert_string_equal(result.output.data, "hello\n");
	delegate_result_free(&result);
	free(config);
}

static void test_one_that_closes_its_output_early_still_gets_everything(void **state)
{
	char *got = mem_printf("%s/got", folder), *text;
	const size_t size = 300000;
	char *config = mem_alloc(size + 1);
	struct stat st;

	(void)state;
	names[n_names++] = got;
	memset(config, 'x', size);
	text = mem_printf("exec >&-; cat > %s", got);
	struct delegate_result result = run(script("mute", text, 0700), NULL, config);
	assert_int_equal(result.status, 0);
	assert_int_equal(stat(got, &st), 0);
	assert_int_equal(st.st_size, size);
	delegate_result_free(&result);
	free(config);
	free(text);
}

static void test_its_end_is_told(void **state)
{
	struct delegate_result result = run(script("fails", "echo '{\"code\":7}'; exit 1", 0700), NULL, "");

	(void)state;
	assert_int_equal(result.status, 1);
	assert_string_equal(result.output.data, "{\"code\":7}\n");
	delegate_result_free(&result);
	result = run(script("dies", "kill -9 $$", 0700), NULL, "");
	assert_int_equal(result.status, 128 + SIGKILL);
	assert_int_equal(result.signal, SIGKILL);
	delegate_result_free(&result);
}

static void test_too_much_output_is_an_error_of_one_that_ran_to_its_end(void **state)
{
	char *done = mem_printf("%s/done", folder), *text;
	struct delegate_result result;
	struct cni_error err;

	(void)state;
	names[n_names++] = done;
	text = mem_printf("head -c 1048577 /dev/zero; touch %s", done);
	assert_int_equal(delegate_run(&result, script("large", text, 0700), NULL, "", &err), -1);
	assert_int_equal(err.code, CNI_IO_FAILURE);
	assert_non_null(strstr(err.message, "more than 1048576 bytes"));
	assert_int_equal(access(done, F_OK), 0);
	free(text);
	result = run(script("most", "head -c 1048576 /dev/zero", 0700), NULL, "");
	assert_int_equal(result.output.len, 1048576);
	delegate_result_free(&result);
}

static void test_the_environment_is_ours_but_for_the_command(void **state)
{
	char *show =
		script("environment", "echo $CNI_COMMAND $CNI_IFNAME $CNI_PATH; env | grep -c ^CNI_COMMAND=", 0700);

	(void)state;
	setenv("CNI_COMMAND", "ADD", 1);
	setenv("CNI_IFNAME", "net1", 1);
	setenv("CNI_PATH", "/opt/cni/bin", 1);
	struct delegate_result result = run(show, NULL, "");
	assert_string_equal(result.output.data, "ADD net1 /opt/cni/bin\n1\n");
	delegate_result_free(&result);
	result = run(show, "DEL", "");
	assert_string_equal(result.output.data, "DEL net1 /opt/cni/bin\n1\n");
	delegate_result_free(&result);
	assert_string_equal(getenv("CNI_COMMAND"), "ADD");
}

static void test_no_other_descriptor_reaches_it(void **state)
{
	/* One without O_CLOEXEC, as the runtime may have left it to us. */
	int left = open("/dev/null", O_RDONLY);
	int high = fcntl(left, F_DUPFD, 50);

	(void)state;
	assert_true(left > 2 && high >= 50);
	/* The folder of /proc is itself open in ls; nothing else is. */
	struct delegate_result result = run(script("descriptors", "exec ls /proc/self/fd", 0700), NULL, "");
	assert_string_equal(result.output.data, "0\n1\n2\n3\n");
	delegate_result_free(&result);
	close(left);
	close(high);
}

static void test_sigpipe_is_the_default_again(void **state)
{
	struct delegate_result result = run(script("signals", "grep SigIgn /proc/self/status", 0700), NULL, "");
	unsigned long ignored = strtoul(strpbrk(result.output.data, "0123456789abcdef"), NULL, 16);

	(void)state;
	assert_int_equal(ignored & (1ul << (SIGPIPE - 1)), 0);
	delegate_result_free(&result);
}

static void test_what_cannot_be_run_is_named(void **state)
{
	char *path = script("no_interpreter", "", 0700);
	struct delegate_result result;
	struct cni_error err;
	FILE *f = fopen(path, "w");

	(void)state;
	fputs("#!/nonexistent\n", f);
	fclose(f);
	assert_int_equal(delegate_run(&result, path, NULL, "", &err), -1);
	assert_int_equal(err.code, CNI_NO_DELEGATE);
	assert_non_null(strstr(err.message, path));
	assert_non_null(strstr(err.message, "No such file"));
	assert_true(*err.details);
}

static void test_it_is_found_in_the_first_folder_that_has_it(void **state)
{
	char *plugin = script("ib-sriov", "", 0755), *path = mem_printf("/nonexistent::%s:/bin", folder);
	struct cni_error err;

	(void)state;
	char *found = delegate_find("ib-sriov", path, &err);
	assert_string_equal(found, plugin);
	free(found);
	found = delegate_find("cat", path, &err);
	assert_string_equal(found, "/bin/cat");
	free(found);
	free(path);
}

static void test_what_cannot_be_a_delegate_is_not_found(void **state)
{
	char *path = mem_printf("%s:/nonexistent", folder), self[4096] = "", *link = mem_printf("%s/self", folder);
	struct cni_error err;

	(void)state;
	script("not_executable", "", 0600);
	assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	assert_int_equal(symlink(self, link), 0);
	names[n_names++] = link;
	static const struct {
		const char *type, *message;
	} cases[] = { { "absent", "absent is not in CNI_PATH=/tmp/" },
		      { "not_executable", "not_executable: not executable" },
		      { ".", "not a regular file" },
		      { "self", "self: is this plugin itself" } };
	for (size_t i = 0; i < array_length(cases); i++) {
		assert_null(delegate_find(cases[i].type, path, &err));
		assert_int_equal(err.code, CNI_NO_DELEGATE);
		if (!strstr(err.message, cases[i].message))
			fail_msg("%s", err.message);
		assert_non_null(strstr(err.details, cases[i].type));
	}
	assert_null(delegate_find("cat", "", &err));
	free(path);
}

static int make_folder(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	for (unsigned i = 0; i < n_names; i++) {
		unlink(names[i]);
		free(names[i]);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_goes_in_and_the_output_comes_out_unchanged),
		cmocka_unit_test(test_much_goes_both_ways_at_once),
		cmocka_unit_test(test_a_delegate_need_not_read),
		cmocka_unit_test(test_one_that_closes_its_output_early_still_gets_everything),
		cmocka_unit_test(test_its_end_is_told),
		cmocka_unit_test(test_too_much_output_is_an_error_of_one_that_ran_to_its_end),
		cmocka_unit_test(test_the_environment_is_ours_but_for_the_command),
		cmocka_unit_test(test_no_other_descriptor_reaches_it),
		cmocka_unit_test(test_sigpipe_is_the_default_again),
		cmocka_unit_test(test_what_cannot_be_run_is_named),
		cmocka_unit_test(test_it_is_found_in_the_first_folder_that_has_it),
		cmocka_unit_test(test_what_cannot_be_a_delegate_is_not_found),
	};

	return cmocka_run_group_tests_name("delegate", tests, make_folder, remove_folder);
}
