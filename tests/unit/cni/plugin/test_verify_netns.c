/* With real network namespaces: where this test may not make any, it says so and skips. */
#undef NDEBUG
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
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
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cni/plugin/monotonic.h"
#include "cni/plugin/verify_netns.h"

/* The one interface of the test's namespace: no other has it. */
#define INTERFACE "ufmsync-t"

enum { LONG_MS = 60 * 1000 };

static pid_t holder; /* a process in the namespace; -1: there is none */
static char netns[64];
static const char *why_not = "";

/* --- the namespace --- */

/* A new namespace's loopback, renamed. */
static bool rename_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(request.ifr_newname, INTERFACE);
	bool renamed = fd >= 0 && ioctl(fd, SIOCSIFNAME, &request) == 0;
	if (fd >= 0)
		close(fd);
	return renamed;
}

static int make_namespace(void **state)
{
	int ready[2];
	char word = '-';

	(void)state;
	assert_int_equal(pipe(ready), 0);
	holder = fork();
	assert_true(holder >= 0);
	if (holder == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		word = unshare(CLONE_NEWNET) < 0 ? 'n' : rename_loopback() ? 'y' : 'r';
		if (write(ready[1], &word, 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &word, 1), 1);
	close(ready[0]);
	snprintf(netns, sizeof netns, "/proc/%d/ns/net", holder);
	why_not = word == 'n'   ? "no network namespace may be made here"
		  : word == 'r' ? "no interface may be renamed here"
				: "";
	return 0;
}

static int drop_namespace(void **state)
{
	(void)state;
	kill(holder, SIGKILL);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
	return 0;
}

static void need_namespace(void)
{
	if (*why_not) {
		print_message("skipped: %s\n", why_not);
		skip();
	}
}

/* --- what is seen --- */

static ino_t own_namespace(void)
{
	struct stat st;

	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	return st.st_ino;
}

/* The mounts of this process, as one text; to be freed. */
static char *own_mounts(void)
{
	char *text = mem_alloc(1 << 20);
	FILE *in = fopen("/proc/self/mountinfo", "r");

	assert_non_null(in);
	text[fread(text, 1, (1 << 20) - 1, in)] = '\0';
	fclose(in);
	return text;
}

static bool shows(int root, const char *path)
{
	struct stat st;

	return fstatat(root, path, &st, 0) == 0;
}

/* Names of class/net beside the test's own. */
static unsigned other_interfaces(int root)
{
	int fd = openat(root, "class/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fdopendir(fd);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder)))
		n += entry->d_name[0] != '.' && strcmp(entry->d_name, INTERFACE) != 0;
	closedir(folder);
	return n;
}

static int opened(void)
{
	struct error err;
	int root = verify_netns_open(netns, monotonic_ms() + LONG_MS, &err);

	if (root >= 0)
		return root;
	/* As in a container that may make namespaces, but no mounts. */
	if (strstr(err.text, "Operation not permitted")) {
		print_message("skipped: %s\n", err.text);
		skip();
	}
	fail_msg("%s", err.text);
	return -1;
}

static void assert_sysfs_of_the_namespace(int root)
{
	assert_true(shows(root, "class/net/" INTERFACE));
	assert_int_equal(other_interfaces(root), 0);
	/* What belongs to no namespace shows in all. */
	assert_true(shows(root, "bus"));
	assert_true(shows(root, "devices/virtual/net/" INTERFACE));
}

static void test_the_sysfs_is_that_of_the_namespace(void **state)
{
	(void)state;
	need_namespace();
	int root = opened();
	assert_sysfs_of_the_namespace(root);
	close(root);
}

static void test_nothing_changes_for_the_host(void **state)
{
	(void)state;
	need_namespace();
	ino_t before = own_namespace();
	char *mounts_before = own_mounts();
	int root = opened();
	char *mounts = own_mounts();
	assert_int_equal(own_namespace(), before);
	assert_string_equal(mounts, mounts_before);
	int host = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_false(shows(host, "class/net/" INTERFACE));
	close(host);
	close(root);
	free(mounts);
	free(mounts_before);
}

/* The mount does not hold the namespace: its interfaces go when the kernel comes to it.  What is there can be read on. */
static void test_a_view_of_a_namespace_that_ended_can_be_read(void **state)
{
	(void)state;
	need_namespace();
	int root = opened();
	drop_namespace(NULL);
	make_namespace(NULL);
	assert_true(shows(root, "bus"));
	assert_int_equal(other_interfaces(root), 0);
	close(root);
}

static void test_the_child_leaves_no_zombie(void **state)
{
	(void)state;
	need_namespace();
	close(opened());
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* only the holder, and that lives */
}

/* Makes fsopen() fail from here on as a kernel before 5.2 does. */
static bool become_old(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsopen, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = (unsigned short)array_length(code), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 && fsopen("sysfs", 0) < 0 && errno == ENOSYS;
}

/* Last, since there is no way back. */
static void test_a_kernel_without_fsopen_does_as_well(void **state)
{
	(void)state;
	need_namespace();
	if (!become_old()) {
		print_message("skipped: no seccomp filter here\n");
		skip();
	}
	test_the_sysfs_is_that_of_the_namespace(NULL);
	test_nothing_changes_for_the_host(NULL);
}

/* --- what cannot be entered --- */

static void refused(const char *path, const char *words)
{
	struct error err = { 0 };

	assert_int_equal(verify_netns_open(path, monotonic_ms() + LONG_MS, &err), -1);
	if (!strstr(err.text, path) || !strstr(err.text, words))
		fail_msg("'%s' not in: %s", words, err.text);
}

static void test_what_is_no_namespace_is_refused(void **state)
{
	(void)state;
	refused("/nonexistent", "opening it: No such file");
	refused("/proc/self/status", "entering it: Invalid argument");
	refused("/proc/self/ns/uts", "entering it: ");
}

static void test_a_fifo_does_not_block(void **state)
{
	char folder[] = "/tmp/ufmsync-netns-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(folder));
	char *path = mem_printf("%s/fifo", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(path, "entering it: Invalid argument");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_sysfs_is_that_of_the_namespace),
		cmocka_unit_test(test_nothing_changes_for_the_host),
		cmocka_unit_test(test_a_view_of_a_namespace_that_ended_can_be_read),
		cmocka_unit_test(test_the_child_leaves_no_zombie),
		cmocka_unit_test(test_what_is_no_namespace_is_refused),
		cmocka_unit_test(test_a_fifo_does_not_block),
		cmocka_unit_test(test_a_kernel_without_fsopen_does_as_well),
	};

	return cmocka_run_group_tests(tests, make_namespace, drop_namespace);
}
