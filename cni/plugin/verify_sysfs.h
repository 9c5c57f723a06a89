#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"
#include "cni/plugin/pkey_table.h"

/* What one view of sysfs (the host's, or that of a network namespace) says about a device. */

enum verify_sysfs {
	VERIFY_SYSFS_TABLE,         /* its table was read */
	VERIFY_SYSFS_NO_DEVICE,     /* there is no such PCI device */
	VERIFY_SYSFS_NO_INFINIBAND, /* it has no InfiniBand device here: in another namespace, or not yet */
	VERIFY_SYSFS_VFIO, /* ... and never will, since it is bound to a VFIO driver: handed to a virtual machine */
	VERIFY_SYSFS_UNREADABLE, /* err says what */
};

struct verify_sysfs_seen {
	struct pkey_table table;
	char name[NAME_MAX + 1]; /* of the InfiniBand device: mlx5_2 */
};

/* "0000:3b:00.2": nothing else may become part of a path. */
bool verify_sysfs_is_device(const char *device);
bool verify_sysfs_is_vfio(int root, const char *device); /* false also when that cannot be seen */
/* `root`: descriptor of sysfs's root.  `device` is one as above. */
enum verify_sysfs verify_sysfs_read(int root, const char *device, struct verify_sysfs_seen *seen, struct error *err);
