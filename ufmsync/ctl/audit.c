#include <string.h>

#include "base/json.h"
#include "base/net/loop.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/facts.h"
#include "ufmsync/ctl/print.h"

enum { POLL_MS = 300, TIMEOUT_MS = 60 * 1000 };

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Until the status tells of another audit than the one before ours.  *status is the last one seen. */
static enum ctl_exit wait_for(struct ctl *ctl, const char *before, json_t **status)
{
	int64_t end_ms = loop_now_ms() + (ctl->timeout_ms > 0 ? ctl->timeout_ms : TIMEOUT_MS);
	struct error err = { 0 };

	for (;;) {
		json_decref(*status);
		*status = NULL;
		if (reach_call(ctl->reach, "GET", "/v1/status", NULL, status, &err) < 0)
			return ctl_fail(ctl, &err);
		if (!is_same(json_str(*status, "lastAudit", NULL), before))
			return CTL_DONE;
		if (loop_now_ms() >= end_ms) {
			error_set(&err, ERROR_RETRY, "the audit is under way, and not done yet; see ufmsyncctl status");
			ctl_fail(ctl, &err);
			return CTL_TIMED_OUT;
		}
		reach_pause(ctl->reach, POLL_MS);
	}
}

static void print(struct ctl *ctl, const json_t *status)
{
	static const struct {
		const char *key, *name, *text;
		enum table_colour colour;
	} rows[] = {
		{ "missing", "Missing", "memberships that were there and are not any more", TABLE_BAD },
		{ "orphans", "Orphans", "members of our range that no pod owns", TABLE_WARNING },
		{ "foreign", "Foreign", "members of our range that are left alone", TABLE_PLAIN },
	};
	struct facts facts;

	facts_begin(&facts);
	facts_add(&facts, TABLE_PLAIN, "Audited", "%s", json_str(status, "lastAudit", NULL));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		long long n = json_int(status, 0, rows[i].key, NULL);
		facts_add(&facts, n > 0 ? rows[i].colour : TABLE_PLAIN, rows[i].name, "%lld %s", n, rows[i].text);
	}
	facts_print(&facts, ctl);
}

static enum ctl_exit run(struct ctl *ctl)
{
	__attribute__((cleanup(json_freep))) json_t *answer = NULL, *status = NULL;
	struct error err = { 0 };

	if (reach_call(ctl->reach, "POST", "/v1/audit", NULL, &answer, &err) < 0)
		return ctl_fail(ctl, &err);
	enum ctl_exit code = wait_for(ctl, json_str(answer, "lastAudit", NULL), &status);
	if (code != CTL_DONE)
		return code;
	if (ctl_is_table(ctl))
		print(ctl, status);
	else
		ctl_print_json(ctl, status);
	return CTL_DONE;
}

static const struct ctl_flag flags[] = {
	{ "--timeout", "DURATION", "how long to wait for its end (default 60s)" },
	{ NULL, NULL, NULL },
};

const struct ctl_command ctl_audit = {
	.name = "audit",
	.arguments = "",
	.summary = "Compares with the fabric manager now",
	.description = "Asks the leader to list the fabric manager's members now instead of at its next turn, waits "
		       "until that is done, and\n"
		       "says what is missing, orphaned and foreign. What is missing is put back by itself.",
	.flags = flags,
	.operates = true,
	.run = run,
};
