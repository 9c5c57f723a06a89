#undef NDEBUG
#include "tests/unit/cni/plugin/fake_sysfs.h"

#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

void fake_sysfs_make(struct fake_sysfs *sysfs)
{
	strcpy(sysfs->root, "/tmp/ufmsync-sysfs-XXXXXX");
	assert(mkdtemp(sysfs->root));
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fake_sysfs_remove(struct fake_sysfs *sysfs)
{
	assert(nftw(sysfs->root, drop, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0);
}

/* The whole path, with all folders above it; to be freed. */
static char *make_way(const struct fake_sysfs *sysfs, const char *path)
{
	char *whole = mem_printf("%s/%s", sysfs->root, path);

	for (char *slash = whole + strlen(sysfs->root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		assert(mkdir(whole, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	return whole;
}

void fake_sysfs_folder(const struct fake_sysfs *sysfs, const char *path)
{
	char *whole = make_way(sysfs, path);

	assert(mkdir(whole, 0755) == 0 || errno == EEXIST);
	free(whole);
}

void fake_sysfs_file(const struct fake_sysfs *sysfs, const char *path, const char *text)
{
	char *whole = make_way(sysfs, path);
	FILE *out = fopen(whole, "w");

	assert(out && fputs(text, out) >= 0 && fclose(out) == 0);
	free(whole);
}

void fake_sysfs_link(const struct fake_sysfs *sysfs, const char *path, const char *target)
{
	char *whole = make_way(sysfs, path);

	assert(symlink(target, whole) == 0);
	free(whole);
}

void fake_sysfs_table(const struct fake_sysfs *sysfs, const char *const *keys)
{
	for (unsigned i = 0; keys[i]; i++) {
		char *path = mem_printf("bus/pci/devices/" FAKE_DEVICE "/infiniband/mlx5_2/ports/1/pkeys/%u", i);
		char *line = mem_printf("%s\n", keys[i]);
		fake_sysfs_file(sysfs, path, line);
		free(path);
		free(line);
	}
}
