#include "cni/plugin/verify_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cni/plugin/monotonic.h"

/* Which devices a sysfs shows is settled by the namespace of whoever makes its mount, not of whoever reads it.  So a
 * child enters the namespace, makes the mount there, and hands its descriptor over. */

enum { TEXT_MAX = 200, LEAST_MS = 1000, REAP_MS = 1000 };

/* --- in the child --- */

static _Noreturn void report(int to, const char *what)
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof text, "%s: %s", what, strerror(errno));

	send(to, text, n < TEXT_MAX ? (size_t)n : TEXT_MAX - 1, MSG_NOSIGNAL);
	_exit(1);
}

static _Noreturn void hand_over(int to, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char nothing = 0;
	struct iovec iov = { .iov_base = &nothing, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof fd);
	if (sendmsg(to, &message, MSG_NOSIGNAL) < 0)
		report(to, "handing over sysfs");
	_exit(0);
}

/* A mount that stands nowhere.  Not read-only: a container of the pod may later get the same file system, and would
 * find it so. */
static int mount_detached(void)
{
	int context = fsopen("sysfs", FSOPEN_CLOEXEC);

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* The same for kernels before 5.2, and for a mount namespace that is not ours to mount in: over /sys, in one of this
 * child's own. */
static int mount_privately(int to)
{
	if (unshare(CLONE_NEWNS) < 0)
		report(to, "a mount namespace");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		report(to, "making mounts private");
	if (mount("none", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		report(to, "mounting sysfs");
	return open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static _Noreturn void be_child(const char *netns, int to)
{
	int namespace = open(netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (namespace < 0)
		report(to, "opening it");
	if (setns(namespace, CLONE_NEWNET) < 0)
		report(to, "entering it");
	int fd = mount_detached();
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = mount_privately(to);
	if (fd < 0)
		report(to, "mounting sysfs");
	hand_over(to, fd);
}

/* --- in the parent --- */

/* The descriptor, or -1 with the child's words in err. */
static int receive(int from, struct error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char text[TEXT_MAX];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof text - 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	ssize_t n;
	int fd;

	do
		n = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return error_set(err, ERROR_OS, "the process that was to enter it ended");
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(head), sizeof fd);
		return fd;
	}
	text[n] = '\0';
	return error_set(err, ERROR_OS, "%s", text);
}

static bool wait_readable(int fd, int64_t deadline_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = deadline_ms - monotonic_ms();
		int n = poll(&poll_fd, 1, left <= 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX);
		if (n > 0 || (n == 0 && left <= 0))
			return n > 0;
	}
}

static int receive_in_time(int from, int64_t deadline_ms, struct error *err)
{
	int64_t least_ms = monotonic_ms() + LEAST_MS; /* a deadline that has nearly come must not be the reason */

	if (!wait_readable(from, deadline_ms > least_ms ? deadline_ms : least_ms))
		return error_set(err, ERROR_RETRY, "it could not be entered in time");
	return receive(from, err);
}

/* One that does not even die of SIGKILL (a file system that hangs) is left to whoever reaps orphans. */
static void reap(pid_t pid)
{
	int64_t until_ms = monotonic_ms() + REAP_MS;
	pid_t done;

	kill(pid, SIGKILL);
	while ((done = waitpid(pid, NULL, WNOHANG)) == 0 || (done < 0 && errno == EINTR)) {
		if (monotonic_ms() >= until_ms)
			return;
		monotonic_sleep(1);
	}
}

int verify_netns_open(const char *netns, int64_t deadline_ms, struct error *err)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return error_set_errno(err, "network namespace %s: socketpair", netns);
	pid_t pid = fork();
	if (pid == 0)
		be_child(netns, sockets[1]);
	close(sockets[1]);
	if (pid < 0) {
		error_set_errno(err, "network namespace %s: fork", netns);
		close(sockets[0]);
		return -1;
	}
	int fd = receive_in_time(sockets[0], deadline_ms, err);
	close(sockets[0]);
	reap(pid);
	return fd < 0 ? error_wrap(err, "network namespace %s", netns) : fd;
}
