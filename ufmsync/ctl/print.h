#pragma once

#include <jansson.h>
#include <stdint.h>

#include "ufmsync/ctl/command.h"

/* What commands print, in each format and with --watch. */

/* Prints the table as asked for (headers, width, colours), takes it over.  With --watch: what changed since the same call
 * the last time round. */
void ctl_print(struct ctl *ctl, struct table *table);
/* JSON or YAML of one object.  With --watch: nothing when it is the same as the last time but for when it was asked. */
void ctl_print_json(struct ctl *ctl, const json_t *object);
/* A line of -o name, each once. */
void ctl_print_name(struct ctl *ctl, const char *name);
static inline bool ctl_is_table(const struct ctl *ctl)
{
	return ctl->format == CTL_TABLE || ctl->format == CTL_WIDE;
}

/* A list of the service in the format asked for. */
struct ctl_list {
	const struct table_column *columns;
	size_t n;
	void (*row)(struct ctl *ctl, struct table *table, const json_t *item); /* adds one, or none */
	void (*name)(struct ctl *ctl, const json_t *item); /* -o name: ctl_print_name(); NULL: none */
	/* Of tables only, before anything is printed: what is said above it, or columns to hide.  NULL: nothing. */
	void (*begin)(struct ctl *ctl, struct table *table, const json_t *page);
	bool sorted;         /* tables: by the key columns */
	const char *nothing; /* said on stderr when the table is empty */
};
enum ctl_exit ctl_print_list(struct ctl *ctl, const char *path, const struct ctl_list *list);

/* --- how things are written --- */

enum { CTL_AGE_MAX = 24, CTL_PKEY_MAX = 16 };

/* "0x5" as 0x0005; anything else as it is, cut; NULL gives "-". */
const char *ctl_pkey(char out[CTL_PKEY_MAX], const char *wire);
/* Of an attachment or owner, as a pod's annotation may say it: "ib0@net1", and "other/ib0@net1" where it is not of
 * `namespace` (NULL: always).  The caller frees it; NULL when there is none. */
char *ctl_network(const json_t *attachment, const char *namespace);
/* A time of the service as the age it has at `now_ms`, as kubectl writes it: 45s, 3m20s, 5h, 12d; "-" when there is none. */
const char *ctl_age(char out[CTL_AGE_MAX], const char *time, int64_t now_ms);
enum table_colour ctl_state_colour(const char *state);

/* What was printed is remembered from the one to the other. */
void ctl_watch_begin(struct ctl *ctl);
void ctl_watch_again(struct ctl *ctl); /* the next round */
/* An outage that lasts many rounds is said once. */
bool ctl_watch_is_news(const struct ctl *ctl, const char *error);
void ctl_watch_end(struct ctl *ctl);
