#include "base/json.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/facts.h"
#include "ufmsync/ctl/print.h"

static long long number(const json_t *pool, const char *key)
{
	return json_int(pool, 0, key, NULL);
}

static void print(struct ctl *ctl, const json_t *pool)
{
	long long size = number(pool, "size"), left = number(pool, "free");
	bool short_of = size > 0 && left <= size / 10;
	struct facts facts;

	facts_begin(&facts);
	facts_add(&facts, TABLE_PLAIN, "Range", "%s - %s", json_str(pool, "first", NULL), json_str(pool, "last", NULL));
	facts_add(&facts, TABLE_PLAIN, "Size", "%lld", size);
	facts_add(&facts, TABLE_PLAIN, "Held", "%lld by attachments", number(pool, "held"));
	facts_add(&facts, TABLE_PLAIN, "Resting", "%lld until no stale path reaches a new pod",
		  number(pool, "resting"));
	facts_add(&facts, TABLE_PLAIN, "Blocked", "%lld by others who use them", number(pool, "blocked"));
	facts_add(&facts, short_of ? TABLE_BAD : TABLE_GOOD, "Free", "%lld", left);
	facts_print(&facts, ctl);
}

static enum ctl_exit run(struct ctl *ctl)
{
	__attribute__((cleanup(json_freep))) json_t *pool = NULL;
	struct error err = { 0 };

	if (reach_call(ctl->reach, "GET", "/v1/pool", NULL, &pool, &err) < 0)
		return ctl_fail(ctl, &err);
	if (ctl_is_table(ctl))
		print(ctl, pool);
	else
		ctl_print_json(ctl, pool);
	return CTL_DONE;
}

const struct ctl_command ctl_pool = {
	.name = "pool",
	.arguments = "",
	.summary = "How much of the GUID range is in use",
	.description = "The range that GUIDs are given from, and how many are held by pods, rest after a pod is gone, "
		       "are blocked\n"
		       "because somebody else uses them, and are free.",
	.watches = true,
	.run = run,
};
