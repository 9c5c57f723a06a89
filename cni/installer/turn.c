#include "cni/installer/turn.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

struct turn {
	int fd; /* holds the lock; -1: never had it */
};

struct turn *turn_new(void)
{
	struct turn *turn = mem_alloc(sizeof *turn);

	turn->fd = -1;
	return turn;
}

void turn_free(struct turn *turn)
{
	if (!turn)
		return;
	if (turn->fd >= 0)
		close(turn->fd);
	free(turn);
}

/* The file there is the one that we hold. */
static bool still_ours(const struct turn *turn, const struct host_folder *folder)
{
	struct host_stamp stamp;
	struct stat st;

	return turn->fd >= 0 && fstat(turn->fd, &st) == 0 && host_file_stamp(folder, TURN_FILE, &stamp) &&
	       stamp.dev == st.st_dev && stamp.ino == st.st_ino;
}

int turn_take(struct turn *turn, const struct host_folder *folder, bool *ours, struct error *err)
{
	bool still = still_ours(turn, folder);

	*ours = still;
	if (still || (turn->fd >= 0 && host_file_held(folder, TURN_FILE)))
		return 0;
	int fd = host_file_hold(folder, TURN_FILE, err);
	if (fd < 0)
		return -1;
	if (turn->fd >= 0)
		close(turn->fd);
	turn->fd = fd;
	*ours = true;
	return 0;
}
