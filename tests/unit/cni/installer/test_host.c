#undef NDEBUG
#include <errno.h>
#include <fcntl.h>
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
#include "cni/installer/host.h"
#include "cni/installer/turn.h"

static char dir[64];
static struct host_folder *folder;
static struct error err;

static int fresh(void **state)
{
	(void)state;
	umask(022);
	snprintf(dir, sizeof dir, "/tmp/test_host.XXXXXX");
	return mkdtemp(dir) && host_folder_open(&folder, dir, true, &err) == 0 ? 0 : -1;
}

static int gone(void **state)
{
	char command[128];
	(void)state;
	host_folder_close(folder);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

static const char *in_dir(const char *name)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void file(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static mode_t mode_of(const char *name)
{
	struct stat st;
	assert_int_equal(lstat(in_dir(name), &st), 0);
	return st.st_mode & 07777;
}

static void holds(const char *name, const char *text)
{
	char *bytes;
	size_t len;
	if (host_file_read(&bytes, &len, folder, name, 1000, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(len, strlen(text));
	assert_string_equal(bytes, text);
	free(bytes);
}

static bool put(const char *name, mode_t mode, const char *text)
{
	bool written;
	if (host_file_put(folder, &(struct host_file){ name, mode, text, strlen(text) }, &written, &err) < 0)
		fail_msg("%s", err.text);
	return written;
}

static void put_fails(const char *name, const char *says)
{
	bool written = true;
	assert_int_equal(host_file_put(folder, &(struct host_file){ name, 0600, "x", 1 }, &written, &err), -1);
	assert_false(written);
	if (!strstr(err.text, says))
		fail_msg("'%s' does not say '%s'", err.text, says);
}

static void test_a_file_is_written_once_and_again_when_anything_of_it_changed(void **state)
{
	(void)state;
	assert_true(put("f", 0600, "one"));
	assert_false(put("f", 0600, "one"));
	assert_true(put("f", 0600, "two"));
	assert_true(put("f", 0600, "twoo"));
	assert_int_equal(chmod(in_dir("f"), 0644), 0);
	assert_true(put("f", 0600, "twoo"));
	assert_int_equal(mode_of("f"), 0600);
	holds("f", "twoo");
	if (geteuid() == 0) {
		assert_int_equal(chown(in_dir("f"), 12345, 0), 0);
		assert_true(put("f", 0600, "twoo"));
	}
}

static void test_modes_hold_whatever_the_umask(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	(void)state;
	for (size_t i = 0; i < array_length(masks); i++) {
		char name[16];
		struct host_folder *inner;
		umask(masks[i]);
		snprintf(name, sizeof name, "token%zu", i);
		put(name, 0600, "secret");
		assert_int_equal(mode_of(name), 0600);
		snprintf(name, sizeof name, "plugin%zu", i);
		put(name, 0755, "program");
		assert_int_equal(mode_of(name), 0755);
		snprintf(name, sizeof name, "folder%zu", i);
		assert_int_equal(host_folder_open_in(&inner, folder, name, true, &err), 0);
		assert_int_equal(mode_of(name), 0700);
		host_folder_close(inner);
		umask(022);
	}
}

static void test_the_old_file_stays_whole_for_those_who_have_it_open(void **state)
{
	char text[8] = "";
	(void)state;
	put("f", 0600, "old");
	int fd = open(in_dir("f"), O_RDONLY);
	put("f", 0600, "newer");
	assert_int_equal(read(fd, text, sizeof text), 3);
	assert_string_equal(text, "old");
	close(fd);
	holds("f", "newer");
}

static void test_a_link_is_replaced_and_never_followed(void **state)
{
	(void)state;
	file("victim", "precious");
	assert_int_equal(symlink("victim", in_dir("f")), 0);
	assert_int_equal(symlink("victim", in_dir(".f.new")), 0);
	assert_true(put("f", 0600, "precious"));
	holds("victim", "precious");
	holds("f", "precious");
	assert_false(host_exists(folder, ".f.new"));
	put("f", 0600, "mine");
	holds("victim", "precious");
}

static void test_what_a_killed_process_left_is_removed_even_when_nothing_changed(void **state)
{
	bool removed;
	(void)state;
	put("f", 0600, "x");
	file(".f.new", "half of someth");
	assert_false(put("f", 0600, "x"));
	assert_false(host_exists(folder, ".f.new"));
	file(".f.new", "half");
	assert_int_equal(host_file_remove(folder, "f", &removed, &err), 0);
	assert_true(removed);
	assert_false(host_exists(folder, ".f.new") || host_exists(folder, "f"));
	assert_int_equal(host_file_remove(folder, "f", &removed, &err), 0);
	assert_false(removed);
}

static void test_a_failure_names_the_path_and_leaves_nothing_beside(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_dir("f"), 0700), 0);
	put_fails("f", "/f in its place");
	assert_false(host_exists(folder, ".f.new"));
	assert_int_equal(rmdir(in_dir("f")), 0);
	assert_int_equal(mkdir(in_dir(".f.new"), 0700), 0);
	put_fails("f", "/.f.new");
}

static void test_a_folder_is_one_process_at_a_time(void **state)
{
	struct host_folder *other = NULL;
	(void)state;
	assert_int_equal(host_folder_open(&other, dir, true, &err), -1);
	assert_int_equal(err.kind, ERROR_RETRY);
	assert_int_equal(host_folder_open(&other, dir, false, &err), 0);
	host_folder_close(other);
	assert_int_equal(host_folder_open(&other, in_dir("none"), true, &err), -1);
	assert_non_null(strstr(err.text, "/none"));
}

static void test_a_file_is_held_until_it_is_let_go_or_replaced(void **state)
{
	struct turn *older = turn_new(), *newer = turn_new();
	bool ours;
	(void)state;
	assert_false(host_file_held(folder, TURN_FILE));
	assert_int_equal(turn_take(older, folder, &ours, &err), 0);
	assert_true(ours);
	assert_true(host_file_held(folder, TURN_FILE));
	assert_int_equal(mode_of(TURN_FILE), 0600);
	assert_int_equal(turn_take(newer, folder, &ours, &err), 0);
	assert_true(ours);
	assert_int_equal(turn_take(older, folder, &ours, &err), 0);
	assert_false(ours);
	turn_free(newer);
	assert_int_equal(turn_take(older, folder, &ours, &err), 0);
	assert_true(ours);
	assert_int_equal(unlink(in_dir(TURN_FILE)), 0);
	assert_int_equal(turn_take(older, folder, &ours, &err), 0);
	assert_true(ours);
	assert_true(host_file_held(folder, TURN_FILE));
	turn_free(older);
	assert_false(host_file_held(folder, TURN_FILE));
}

static void test_our_folder_is_ours_alone_and_no_link(void **state)
{
	struct host_folder *inner;
	(void)state;
	assert_int_equal(host_folder_open_in(&inner, folder, "d", false, &err), 0);
	assert_null(inner);
	assert_int_equal(mkdir(in_dir("d"), 0755), 0);
	assert_int_equal(host_folder_open_in(&inner, folder, "d", true, &err), 0);
	host_folder_close(inner);
	assert_int_equal(mode_of("d"), 0700);
	assert_int_equal(symlink("d", in_dir("link")), 0);
	assert_int_equal(host_folder_open_in(&inner, folder, "link", true, &err), -1);
	assert_non_null(strstr(err.text, "link"));
	file("file", "");
	assert_int_equal(host_folder_open_in(&inner, folder, "file", true, &err), -1);
	if (geteuid() == 0) {
		assert_int_equal(chown(in_dir("d"), 12345, 0), 0);
		assert_int_equal(host_folder_open_in(&inner, folder, "d", true, &err), -1);
		assert_non_null(strstr(err.text, "uid 12345"));
	}
}

static void test_only_an_empty_folder_is_removed(void **state)
{
	bool removed;
	(void)state;
	assert_int_equal(host_folder_remove(folder, "d", &removed, &err), 0);
	assert_false(removed);
	assert_int_equal(mkdir(in_dir("d"), 0700), 0);
	file("d/theirs", "");
	assert_int_equal(host_folder_remove(folder, "d", &removed, &err), 0);
	assert_false(removed);
	assert_int_equal(unlink(in_dir("d/theirs")), 0);
	assert_int_equal(host_folder_remove(folder, "d", &removed, &err), 0);
	assert_true(removed);
}

static void test_reading_takes_regular_files_up_to_a_size(void **state)
{
	char *bytes;
	size_t len;
	(void)state;
	file("f", "12345");
	assert_int_equal(host_read(&bytes, &len, in_dir("f"), 5, &err), 0);
	assert_string_equal(bytes, "12345");
	free(bytes);
	assert_int_equal(host_read(&bytes, &len, in_dir("f"), 4, &err), -1);
	assert_int_equal(err.kind, ERROR_LIMIT);
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(host_read(&bytes, &len, in_dir("fifo"), 4, &err), -1);
	assert_non_null(strstr(err.text, "not a regular file"));
	assert_int_equal(symlink("f", in_dir("link")), 0);
	assert_int_equal(host_read(&bytes, &len, in_dir("link"), 5, &err), 0);
	free(bytes);
	assert_int_equal(host_file_read(&bytes, &len, folder, "link", 5, &err), -1);
}

static void test_a_stamp_shows_each_change(void **state)
{
	struct host_stamp before, after;
	(void)state;
	assert_false(host_file_stamp(folder, "f", &before));
	put("f", 0600, "x");
	assert_true(host_file_stamp(folder, "f", &before));
	assert_true(host_file_stamp(folder, "f", &after));
	assert_true(host_stamp_equal(&before, &after));
	put("f", 0600, "y");
	assert_true(host_file_stamp(folder, "f", &after));
	assert_false(host_stamp_equal(&before, &after));
	before = after;
	assert_int_equal(chmod(in_dir("f"), 0644), 0);
	assert_true(host_file_stamp(folder, "f", &after));
	assert_false(host_stamp_equal(&before, &after));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_file_is_written_once_and_again_when_anything_of_it_changed),
		TEST(test_modes_hold_whatever_the_umask),
		TEST(test_the_old_file_stays_whole_for_those_who_have_it_open),
		TEST(test_a_link_is_replaced_and_never_followed),
		TEST(test_what_a_killed_process_left_is_removed_even_when_nothing_changed),
		TEST(test_a_failure_names_the_path_and_leaves_nothing_beside),
		TEST(test_a_folder_is_one_process_at_a_time),
		TEST(test_a_file_is_held_until_it_is_let_go_or_replaced),
		TEST(test_our_folder_is_ours_alone_and_no_link),
		TEST(test_only_an_empty_folder_is_removed),
		TEST(test_reading_takes_regular_files_up_to_a_size),
		TEST(test_a_stamp_shows_each_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
