#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/net/loop.h"
#include "pkey/partitions_file.h"

static char folder[64], path[128];

static void put(const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/ufmsync-partitions-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/partitions.conf", folder);
	put("old\n");
	return 0;
}

static int tear_down(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static struct buf bytes(const char *text)
{
	struct buf buf;
	buf_init(&buf, 1 << 20);
	buf_text(&buf, text);
	return buf;
}

static void assert_file(const char *wanted)
{
	struct buf now;
	struct error err;
	buf_init(&now, 1 << 20);
	assert_int_equal(partitions_file_read(&now, path, &err), 0);
	assert_string_equal(now.data, wanted);
	buf_free(&now);
}

static unsigned files_in_folder(void)
{
	char command[128];
	unsigned n = 0;
	snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
	FILE *pipe = popen(command, "r");
	assert_int_equal(fscanf(pipe, "%u", &n), 1);
	pclose(pipe);
	return n;
}

static int write_from(const char *before, const char *text, struct error *err)
{
	struct buf a = bytes(before), b = bytes(text);
	int result = partitions_file_write(path, &a, &b, INT64_MAX, err);
	buf_free(&a);
	buf_free(&b);
	return result;
}

static void test_a_new_text_takes_the_place_of_the_old_and_leaves_nothing_beside_it(void **state)
{
	struct error err;
	(void)state;
	assert_int_equal(write_from("old\n", "new\n", &err), 0);
	assert_file("new\n");
	assert_int_equal(files_in_folder(), 1);
}

static void test_somebody_elses_change_stands(void **state)
{
	struct error err;
	(void)state;
	put("changed by hand\n");
	assert_int_equal(write_from("old\n", "new\n", &err), -1);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_file("changed by hand\n");
	put("old\nand more\n"); /* what was read is its beginning */
	assert_int_equal(write_from("old\n", "new\n", &err), -1);
	assert_file("old\nand more\n");
	assert_int_equal(files_in_folder(), 1);
}

static void test_mode_and_owner_stay(void **state)
{
	struct error err;
	struct stat st;
	bool root = geteuid() == 0;
	(void)state;
	assert_int_equal(chmod(path, 0640), 0);
	if (root)
		assert_int_equal(chown(path, 1234, 4321), 0);
	umask(077);
	assert_int_equal(write_from("old\n", "new\n", &err), 0);
	umask(022);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (root) {
		assert_int_equal(st.st_uid, 1234);
		assert_int_equal(st.st_gid, 4321);
	}
}

static void test_a_file_that_is_gone_is_not_made_anew(void **state)
{
	struct error err;
	(void)state;
	unlink(path);
	assert_int_equal(write_from("old\n", "new\n", &err), -1);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(files_in_folder(), 0);
}

static void refuses(const char *said)
{
	struct error err = { 0 };
	assert_int_equal(partitions_file_check(path, &err), -1);
	if (!strstr(err.text, said))
		fail_msg("not \"%s\": %s", said, err.text);
}

static void test_what_a_rename_cannot_replace_is_explained(void **state)
{
	char target[160];
	struct error err;
	(void)state;
	assert_int_equal(partitions_file_check(path, &err), 0);
	snprintf(target, sizeof target, "%s/target", folder);
	assert_int_equal(rename(path, target), 0);
	refuses("does not exist");
	assert_int_equal(symlink("target", path), 0);
	refuses("symbolic link");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refuses("no regular file");
}

static void test_a_single_file_mount_is_explained(void **state)
{
	char source[160];
	int status;
	(void)state;
	snprintf(source, sizeof source, "%s/source", folder);
	assert_int_equal(close(open(source, O_CREAT | O_WRONLY, 0600)), 0);
	pid_t child = fork();
	if (child == 0) {
		struct error err = { 0 };
		if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount(source, path, NULL, MS_BIND, NULL) < 0)
			_exit(77);
		_exit(partitions_file_check(path, &err) == -1 && strstr(err.text, "mounted as a single file") ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("mounting is not allowed here: not tried\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void test_leftovers_of_a_killed_write_are_removed(void **state)
{
	char left[160];
	struct error err;
	(void)state;
	snprintf(left, sizeof left, "%s/.partitions.conf.ufmsync", folder);
	assert_int_equal(close(open(left, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(write_from("old\n", "new\n", &err), 0); /* they are in nobody's way */
	assert_int_equal(close(open(left, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(partitions_file_check(path, &err), 0);
	assert_int_equal(files_in_folder(), 1);
}

static char *long_text(char c)
{
	char *text = mem_alloc(300001);
	memset(text, c, 300000);
	return text;
}

/* Writes a and b in turn until it is killed. */
static void write_for_ever(const char *a, const char *b)
{
	struct error err;
	for (;;) {
		if (write_from(a, b, &err) < 0 || write_from(b, a, &err) < 0)
			_exit(1);
	}
}

static void test_killed_at_any_point_the_file_is_whole(void **state)
{
	char *a = long_text('a'), *b = long_text('b');
	(void)state;
	put(a);
	for (int round = 0; round < 60; round++) {
		struct buf now;
		struct error err;
		put(a);
		pid_t child = fork();
		if (child == 0)
			write_for_ever(a, b);
		usleep((useconds_t)(500 + rand() % 9000)); /* anywhere in it */
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		assert_int_equal(partitions_file_check(path, &err), 0);
		buf_init(&now, 1 << 20);
		assert_int_equal(partitions_file_read(&now, path, &err), 0);
		assert_int_equal(now.len, 300000);
		assert_true(strcmp(now.data, a) == 0 || strcmp(now.data, b) == 0);
		buf_free(&now);
	}
	free(a);
	free(b);
}

/* Whether the file begins with `text`, at once or in a moment: while a write gives way, what it was made from shows. */
static bool begins_with(const char *text)
{
	bool found = false;
	for (int tries = 0; tries < 200 && !found; tries++) {
		struct buf now;
		struct error err;
		buf_init(&now, 1 << 20);
		found = partitions_file_read(&now, path, &err) == 0 && strncmp(now.data, text, strlen(text)) == 0;
		buf_free(&now);
		if (!found)
			usleep(500);
	}
	return found;
}

/* An operator's editor renames a new file into place again and again, while we write what we last read: nothing that it
 * wrote is ever replaced by something that was not made from it. */
static void test_no_change_of_an_operator_is_lost_to_a_write_at_the_same_time(void **state)
{
	enum { EDITS = 200 };
	int status;
	struct error err;
	unsigned ours = 0, theirs = 0;
	(void)state;
	put("0 ");
	pid_t editor = fork();
	if (editor == 0) {
		char next[160], text[64] = "";
		snprintf(next, sizeof next, "%s/edit", folder);
		for (int i = 0; i < EDITS; i++) {
			if (!begins_with(text))
				_exit(2); /* the last edit is lost */
			snprintf(text, sizeof text, "edit %d ", i);
			int fd = open(next, O_CREAT | O_TRUNC | O_WRONLY, 0600);
			if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0 || rename(next, path) < 0)
				_exit(1);
			usleep((useconds_t)(rand() % 8000));
		}
		_exit(0);
	}
	int last = -1;
	while (waitpid(editor, &status, WNOHANG) == 0) {
		struct buf now, text;
		int edit = -1;
		buf_init(&now, 1 << 20);
		buf_init(&text, 1 << 20);
		assert_int_equal(partitions_file_read(&now, path, &err), 0);
		sscanf(now.data, "edit %d", &edit);
		assert_true(edit >= last); /* an older one never comes back */
		last = edit;
		buf_append(&text, now.data, now.len);
		buf_text(&text, "+ours");
		if (text.len < 64) {
			if (partitions_file_write(path, &now, &text, INT64_MAX, &err) == 0)
				ours++;
			else if (err.kind == ERROR_CONFLICT)
				theirs++;
			else
				fail_msg("%s", err.text);
		}
		buf_free(&now);
		buf_free(&text);
	}
	assert_int_equal(status, 0);
	assert_true(ours > 0);
	struct buf now;
	int edit = -1;
	buf_init(&now, 1 << 20);
	assert_int_equal(partitions_file_read(&now, path, &err), 0);
	assert_int_equal(sscanf(now.data, "edit %d", &edit), 1);
	assert_int_equal(edit, EDITS - 1);
	buf_free(&now);
	print_message("%u of ours, %u given way\n", ours, theirs);
}

/* What is in place now, made to the other letter. */
static void turn_over(const char *a, const char *b)
{
	struct buf now;
	struct error err;

	buf_init(&now, 1 << 20);
	if (partitions_file_read(&now, path, &err) == 0 && now.len == 300000)
		write_from(now.data, now.data[0] == 'a' ? b : a, &err);
	buf_free(&now);
}

/* A leader that lost its Lease, still in the middle of its last write, and the next one. */
static void test_two_that_write_at_once_never_leave_a_half_file(void **state)
{
	enum { WRITERS = 3, LOOKS = 3000 };
	pid_t writers[WRITERS];
	char *a = long_text('a'), *b = long_text('b');
	bool whole = true, both[2] = { false };

	(void)state;
	put(a);
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = fork();
		while (writers[i] == 0)
			turn_over(a, b);
	}
	for (int i = 0; (i < LOOKS || !both[0] || !both[1]) && whole; i++) {
		struct buf now;
		struct error err;
		buf_init(&now, 1 << 20);
		assert_int_equal(partitions_file_read(&now, path, &err), 0);
		whole = strcmp(now.data, a) == 0 || strcmp(now.data, b) == 0;
		both[now.data[0] == 'b'] = true;
		buf_free(&now);
	}
	for (int i = 0; i < WRITERS; i++) {
		kill(writers[i], SIGKILL);
		waitpid(writers[i], NULL, 0);
	}
	free(a);
	free(b);
	assert_true(whole);
}

/* An editor so fast that it replaces the file again while ours is giving way to what it wrote before. */
static void test_the_last_of_many_quick_changes_stands(void **state)
{
	enum { EDITS = 3000 };
	int status;

	(void)state;
	put("edit 0 ");
	pid_t editor = fork();
	if (editor == 0) {
		char next[160], text[64];
		snprintf(next, sizeof next, "%s/edit", folder);
		for (int i = 1; i <= EDITS; i++) {
			snprintf(text, sizeof text, "edit %d ", i);
			int fd = open(next, O_CREAT | O_TRUNC | O_WRONLY, 0600);
			if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0 || rename(next, path) < 0)
				_exit(1);
		}
		_exit(0);
	}
	struct buf now;
	struct error err;
	int edit = -1, last = -1;
	buf_init(&now, 1 << 20);
	while (waitpid(editor, &status, WNOHANG) == 0) {
		buf_clear(&now);
		assert_int_equal(partitions_file_read(&now, path, &err), 0);
		edit = -1;
		sscanf(now.data, "edit %d", &edit);
		assert_true(edit >= last); /* an older one never comes back */
		last = edit;
		write_from(now.data, "edit 0 of ours", &err); /* made from what is long gone, mostly */
		buf_clear(&now);
		assert_int_equal(partitions_file_read(&now, path, &err), 0);
		if (strcmp(now.data, "edit 0 of ours") == 0) /* it was not gone: as it was meant */
			last = 0;
	}
	assert_int_equal(status, 0);
	buf_clear(&now);
	assert_int_equal(partitions_file_read(&now, path, &err), 0);
	assert_int_equal(sscanf(now.data, "edit %d", &edit), 1);
	assert_true(edit == EDITS || edit == 0);
	buf_free(&now);
}

static void test_while_another_writes_we_do_not(void **state)
{
	struct error err;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char half[160];

	(void)state;
	snprintf(half, sizeof half, "%s/.partitions.conf.ufmsync.half", folder);
	assert_int_equal(close(open(half, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(write_from("old\n", "new\n", &err), -1);
	assert_int_equal(err.kind, ERROR_RETRY);
	assert_file("old\n");
	assert_int_equal(partitions_file_check(path, &err), 0);
	assert_int_equal(files_in_folder(), 2); /* what it is writing is no leftover */
	close(fd);
	assert_int_equal(write_from("old\n", "new\n", &err), 0);
	assert_int_equal(partitions_file_check(path, &err), 0);
	assert_int_equal(files_in_folder(), 1);
}

static void test_what_comes_too_late_is_nowhere(void **state)
{
	struct buf a = bytes("old\n"), b = bytes("new\n");
	struct error err;

	(void)state;
	int64_t by_ms = loop_now_ms();
	assert_int_equal(partitions_file_write(path, &a, &b, by_ms, &err), -1);
	assert_int_equal(err.kind, ERROR_RETRY);
	assert_file("old\n");
	assert_int_equal(files_in_folder(), 1);
	assert_int_equal(partitions_file_write(path, &a, &b, by_ms + 1000 * 1000, &err), 0);
	assert_file("new\n");
	buf_free(&a);
	buf_free(&b);
}

/* OpenSM may run as another user, whom only an access list lets in; a file that it cannot read opens the fabric. */
static void test_access_lists_and_labels_stay(void **state)
{
	static const unsigned char list[] = { 2,  0, 0, 0, /* version */
					      1,  0, 6, 0, 0xff, 0xff, 0xff, 0xff, 2,  0, 4, 0, 0xd2, 4,    0,    0,
					      4,  0, 0, 0, 0xff, 0xff, 0xff, 0xff, 16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
					      32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };
	unsigned char now[sizeof list + 1];
	char label[8] = "";
	struct error err;

	(void)state;
	if (setxattr(path, "system.posix_acl_access", list, sizeof list, 0) < 0 ||
	    setxattr(path, "user.label", "kept", 4, 0) < 0) {
		print_message("no access lists here: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(write_from("old\n", "new\n", &err), 0);
	assert_int_equal(getxattr(path, "system.posix_acl_access", now, sizeof now), sizeof list);
	assert_memory_equal(now, list, sizeof list);
	assert_int_equal(getxattr(path, "user.label", label, sizeof label), 4);
	assert_memory_equal(label, "kept", 4);
}

static bool stays_old(const char *text, const char *said)
{
	struct error err = { 0 };
	struct buf now;

	bool refused = write_from("old\n", text, &err) == -1 && strstr(err.text, said);
	buf_init(&now, 1 << 20);
	bool old = partitions_file_read(&now, path, &err) == 0 && strcmp(now.data, "old\n") == 0;
	buf_free(&now);
	return refused && old && files_in_folder() == 1;
}

/* In a mount namespace of its own; 77: not allowed here. */
static int fill_the_disk(void)
{
	struct error err = { 0 };
	char *large = long_text('a');

	if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("tmpfs", folder, "tmpfs", 0, "size=64k") < 0)
		return 77;
	put("old\n");
	bool good = stays_old(large, "No space left") && write_from("old\n", "new\n", &err) == 0 &&
		    write_from("new\n", "old\n", &err) == 0 &&
		    mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0 &&
		    stays_old("new\n", "Read-only file system") && partitions_file_check(path, &err) == -1 &&
		    strstr(err.text, "Read-only file system");
	free(large);
	return good ? 0 : 1;
}

static void test_on_a_full_or_read_only_disk_the_old_file_stays(void **state)
{
	int status;

	(void)state;
	pid_t child = fork();
	if (child == 0)
		_exit(fill_the_disk());
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("mounting is not allowed here: not tried\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* 0, or 77 when namespaces of time are not permitted here. */
static int run_on_a_machine_that_slept(int (*run)(void))
{
	int status = 0;

	if (unshare(CLONE_NEWTIME | (geteuid() ? CLONE_NEWUSER : 0)) < 0)
		return 77;
	int fd = open("/proc/self/timens_offsets", O_WRONLY);
	bool slept = fd >= 0 && write(fd, "boottime 3600 0", 15) == 15;
	close(fd);
	if (!slept)
		return 77;
	pid_t child = fork(); /* only children live in it */
	if (child == 0)
		_exit(run());
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int write_too_late(void)
{
	struct buf a = bytes("old\n"), b = bytes("new\n");
	struct error err;

	return partitions_file_write(path, &a, &b, loop_now_ms() - 1, &err) == -1 && err.kind == ERROR_RETRY ? 0 : 1;
}

/* Both sides of the deadline are one clock, which goes on while the machine sleeps. */
static void test_sleep_of_the_machine_is_no_time_won(void **state)
{
	int status;
	(void)state;
	pid_t child = fork();
	if (child == 0)
		_exit(run_on_a_machine_that_slept(write_too_late));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("namespaces of time are not permitted here: not tried\n");
		skip();
	}
	assert_int_equal(status, 0);
	assert_file("old\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_new_text_takes_the_place_of_the_old_and_leaves_nothing_beside_it,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_somebody_elses_change_stands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mode_and_owner_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_that_is_gone_is_not_made_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_a_rename_cannot_replace_is_explained, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sleep_of_the_machine_is_no_time_won, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_single_file_mount_is_explained, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leftovers_of_a_killed_write_are_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_at_any_point_the_file_is_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_change_of_an_operator_is_lost_to_a_write_at_the_same_time,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_that_write_at_once_never_leave_a_half_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_last_of_many_quick_changes_stands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_while_another_writes_we_do_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_comes_too_late_is_nowhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_access_lists_and_labels_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_on_a_full_or_read_only_disk_the_old_file_stays, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
