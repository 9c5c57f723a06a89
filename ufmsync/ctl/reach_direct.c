#include "ufmsync/ctl/reach_private.h"

static int open_direct(struct reach *reach, struct error *err)
{
	(void)reach;
	return error_set(err, ERROR_INVALID,
			 "--direct is not in this build: ask the service, through the API server or with "
			 "--server");
}

static void close_direct(struct reach *reach)
{
	(void)reach;
}

static int ask_direct(struct reach *reach, const char *method, const char *path, const char *body,
		      struct reach_answer *answer, struct error *err)
{
	(void)method, (void)path, (void)body, (void)answer;
	return open_direct(reach, err);
}

const struct reach_class reach_direct = { .open = open_direct, .close = close_direct, .ask = ask_direct };
