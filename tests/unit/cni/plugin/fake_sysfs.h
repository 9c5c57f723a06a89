#pragma once

/* A folder that looks like sysfs, for tests. */

struct fake_sysfs {
	char root[64];
};

void fake_sysfs_make(struct fake_sysfs *sysfs);
void fake_sysfs_remove(struct fake_sysfs *sysfs);
/* Paths are relative to the root; folders above are made as needed. */
void fake_sysfs_folder(const struct fake_sysfs *sysfs, const char *path);
void fake_sysfs_file(const struct fake_sysfs *sysfs, const char *path, const char *text);
void fake_sysfs_link(const struct fake_sysfs *sysfs, const char *path, const char *target);

#define FAKE_DEVICE "0000:3b:00.2"
/* FAKE_DEVICE with the InfiniBand device mlx5_2, whose table holds these at index 0, 1 ...; ends with NULL. */
void fake_sysfs_table(const struct fake_sysfs *sysfs, const char *const *keys);
