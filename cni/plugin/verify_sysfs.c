#include "cni/plugin/verify_sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One port: that is what a virtual function has. */
#define PORT "1"

enum { ENTRY_MAX = 32 };

bool verify_sysfs_is_device(const char *device)
{
	/* The domain has more than four digits behind some bridges (10000:01:00.0). */
	size_t domain = strspn(device, "0123456789abcdef");
	const char *rest = device + domain;

	if (domain < 4 || domain > 8 || strlen(rest) != strlen(":3b:00.2"))
		return false;
	return rest[0] == ':' && strspn(rest + 1, "0123456789abcdef") == 2 && rest[3] == ':' &&
	       strspn(rest + 4, "0123456789abcdef") == 2 && rest[6] == '.' && rest[7] >= '0' && rest[7] <= '7';
}

/* The folder of the PCI device; -1 with errno. */
static int open_device(int root, const char *device)
{
	char path[64];

	snprintf(path, sizeof path, "bus/pci/devices/%s", device);
	return openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool is_vfio(int device)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(device, "driver", target, sizeof target - 1);

	if (n < 0)
		return false;
	target[n] = '\0';
	const char *slash = strrchr(target, '/');
	const char *driver = slash ? slash + 1 : target;
	return strncmp(driver, "vfio", 4) == 0 || strstr(driver, "_vfio") != NULL; /* vfio-pci, mlx5_vfio_pci */
}

/* The first entry's name.  The folder itself is there in every namespace, but empty in those that do not hold the
 * device. */
static bool find_infiniband(int device, char name[NAME_MAX + 1])
{
	int fd = openat(device, "infiniband", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	do
		entry = readdir(folder);
	while (entry && entry->d_name[0] == '.');
	if (entry)
		snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
	closedir(folder);
	return entry != NULL;
}

/* 1: read.  0: there is no such file.  -1: errno tells. */
static int read_entry(int pkeys, unsigned index, char out[ENTRY_MAX])
{
	char name[16];

	snprintf(name, sizeof name, "%u", index);
	int fd = openat(pkeys, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	ssize_t n;
	do
		n = read(fd, out, ENTRY_MAX - 1);
	while (n < 0 && errno == EINTR);
	int saved = errno;
	close(fd);
	errno = saved;
	if (n < 0)
		return -1;
	out[n] = '\0';
	return 1;
}

static int read_table(int pkeys, struct verify_sysfs_seen *seen, struct error *err)
{
	char entry[ENTRY_MAX];
	int status = 1;

	for (unsigned i = 0; status == 1 && i < PKEY_TABLE_MAX; i++) {
		status = read_entry(pkeys, i, entry);
		if (status < 0)
			return error_set_errno(err, "%s port " PORT ": P_Key at index %u", seen->name, i);
		if (status == 0 && i == 0)
			return error_set(err, ERROR_OS, "%s port " PORT " has no P_Key table", seen->name);
		if (status == 1 && !pkey_table_add(&seen->table, entry))
			return error_set(err, ERROR_OS, "%s port " PORT ": P_Key at index %u is '%s'", seen->name, i,
					 entry);
	}
	return 0;
}

static enum verify_sysfs read_device(int device, struct verify_sysfs_seen *seen, struct error *err)
{
	char path[NAME_MAX + 64];

	if (!find_infiniband(device, seen->name))
		return is_vfio(device) ? VERIFY_SYSFS_VFIO : VERIFY_SYSFS_NO_INFINIBAND;
	snprintf(path, sizeof path, "infiniband/%s/ports/" PORT "/pkeys", seen->name);
	int pkeys = openat(device, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pkeys < 0) {
		error_set_errno(err, "%s port " PORT ": P_Key table", seen->name);
		return VERIFY_SYSFS_UNREADABLE;
	}
	int status = read_table(pkeys, seen, err);
	close(pkeys);
	return status < 0 ? VERIFY_SYSFS_UNREADABLE : VERIFY_SYSFS_TABLE;
}

bool verify_sysfs_is_vfio(int root, const char *device)
{
	int fd = open_device(root, device);
	bool vfio = fd >= 0 && is_vfio(fd);

	if (fd >= 0)
		close(fd);
	return vfio;
}

enum verify_sysfs verify_sysfs_read(int root, const char *device, struct verify_sysfs_seen *seen, struct error *err)
{
	int fd = open_device(root, device);

	seen->table.n = 0;
	seen->name[0] = '\0';
	if (fd < 0 && errno == ENOENT)
		return VERIFY_SYSFS_NO_DEVICE;
	if (fd < 0) {
		error_set_errno(err, "PCI device %s", device);
		return VERIFY_SYSFS_UNREADABLE;
	}
	enum verify_sysfs view = read_device(fd, seen, err);
	close(fd);
	return view;
}
