#include "base/json.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/print.h"

enum { PKEY, FULL, LIMITED, LISTED, MISSING, ORPHANS, FOREIGN, WRITABLE, COLUMNS, NUMBER_MAX = 24 };

static const struct table_column columns[COLUMNS] = {
	[PKEY] = { .title = "PKEY", .key = true },         [FULL] = { .title = "FULL", .right = true },
	[LIMITED] = { .title = "LIMITED", .right = true }, [LISTED] = { .title = "LISTED", .right = true },
	[MISSING] = { .title = "MISSING", .right = true }, [ORPHANS] = { .title = "ORPHANS", .right = true },
	[FOREIGN] = { .title = "FOREIGN", .right = true }, [WRITABLE] = { .title = "WRITABLE" },
};

static const char *const keys[COLUMNS] = { [FULL] = "full",       [LIMITED] = "limited", [LISTED] = "listed",
					   [MISSING] = "missing", [ORPHANS] = "orphans", [FOREIGN] = "foreign" };

static void row(struct ctl *ctl, struct table *table, const json_t *item)
{
	char numbers[COLUMNS][NUMBER_MAX], pkey[CTL_PKEY_MAX];
	const char *texts[COLUMNS] = { NULL };

	(void)ctl;
	for (size_t i = FULL; i <= FOREIGN; i++) {
		const json_t *number = json_object_get(item, keys[i]);
		if (!json_is_integer(number))
			continue; /* not known: "-" */
		snprintf(numbers[i], NUMBER_MAX, "%lld", (long long)json_integer_value(number));
		texts[i] = numbers[i];
	}
	texts[PKEY] = ctl_pkey(pkey, json_str(item, "pkey", NULL));
	texts[WRITABLE] = json_bool(item, 0, "writable", NULL) ? "yes" : "no";
	table_row(table, texts);
	if (json_int(item, 0, "missing", NULL) > 0)
		table_colour(table, MISSING, TABLE_BAD);
	if (json_int(item, 0, "orphans", NULL) > 0)
		table_colour(table, ORPHANS, TABLE_WARNING);
	if (json_int(item, 0, "foreign", NULL) > 0)
		table_colour(table, FOREIGN, TABLE_WARNING);
}

static void name(struct ctl *ctl, const json_t *item)
{
	char pkey[CTL_PKEY_MAX];

	ctl_print_name(ctl, ctl_pkey(pkey, json_str(item, "pkey", NULL)));
}

static enum ctl_exit run(struct ctl *ctl)
{
	static const struct ctl_list list = { .columns = columns,
					      .n = COLUMNS,
					      .row = row,
					      .name = name,
					      .begin = NULL,
					      .nothing = "no PKey is in use" };

	return ctl_print_list(ctl, "/v1/pkeys", &list);
}

const struct ctl_command ctl_pkeys = {
	.name = "pkeys",
	.arguments = "",
	.summary = "Every PKey with its counts",
	.description = "One line for each PKey that pods want, or that holds members of the service's GUID range. FULL "
		       "and LIMITED\n"
		       "are what pods have or want; LISTED is what the fabric manager listed last, whosever; MISSING "
		       "were there and\n"
		       "are not any more; ORPHANS belong to no pod; FOREIGN are of the range, but left alone.",
	.named = true,
	.watches = true,
	.run = run,
};
