#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/net/loop.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/facts.h"
#include "ufmsync/ctl/print.h"

static void add_leader(struct facts *facts, const json_t *status)
{
	const json_t *leader = json_object_get(status, "leader");
	const char *identity = json_str(leader, "identity", NULL);

	if (!json_bool(leader, 0, "held", NULL))
		facts_add(facts, TABLE_BAD, "Leader", "none%s%s%s", identity ? " (the last was " : "",
			  identity ? identity : "", identity ? ")" : "");
	else
		facts_add(facts, TABLE_PLAIN, "Leader", "%s%s", identity ? identity : "?",
			  json_bool(leader, 0, "here", NULL) ? "" : " (but another replica answered this)");
}

static void add_backend(struct facts *facts, const json_t *status, int64_t now_ms)
{
	const json_t *backend = json_object_get(status, "backend"), *error = json_object_get(backend, "error");
	const char *name = json_str(backend, "name", NULL), *message = json_str(error, "message", NULL);
	char age[CTL_AGE_MAX];

	if (message)
		facts_add(facts, TABLE_BAD, "Fabric manager", "%s, failing (%s ago): %s", name ? name : "none",
			  ctl_age(age, json_str(error, "at", NULL), now_ms), message);
	else
		facts_add(facts, TABLE_PLAIN, "Fabric manager", "%s", name ? name : "none");
}

static void add_reading(struct facts *facts, const json_t *status)
{
	bool synced = json_bool(status, 0, "synced", NULL), listed = json_bool(status, 0, "listed", NULL);

	if (synced && listed)
		facts_add(facts, TABLE_GOOD, "Has read", "pods, networks and the fabric manager's members");
	else
		facts_add(facts, TABLE_WARNING, "Has read", "%s%s", synced ? "pods and networks" : "nothing complete",
			  listed ? ", and the fabric manager's members" : "; not yet the fabric manager's members");
}

static void add_brake(struct facts *facts, const json_t *status)
{
	const char *brake = json_str(status, "brake", NULL);

	if (!brake || strcmp(brake, "off") == 0)
		facts_add(facts, TABLE_PLAIN, "Brake", "off");
	else if (strcmp(brake, "latched") == 0)
		facts_add(facts, TABLE_BAD, "Brake",
			  "on: too many orphans at once; nothing is removed until somebody confirms them");
	else
		facts_add(facts, TABLE_WARNING, "Brake",
			  "on: this cluster is not settled; orphans of before wait for somebody to confirm them");
}

static void add_counts(struct facts *facts, const json_t *status)
{
	static const char *const states[] = { "wanted", "joining", "member", "published", "leaving", "resting" };
	const json_t *counts = json_object_get(status, "attachments");
	long long blocked = json_int(status, 0, "blocked", NULL), ungated = json_int(status, 0, "ungated", NULL);
	struct buf text;

	buf_init(&text, 512);
	for (size_t i = 0; i < array_length(states); i++)
		buf_printf(&text, "%s%lld %s", i > 0 ? ", " : "", (long long)json_int(counts, 0, states[i], NULL),
			   states[i]);
	facts_add(facts, TABLE_PLAIN, "Attachments", "%s", text.data);
	buf_free(&text);
	facts_add(facts, blocked > 0 ? TABLE_BAD : TABLE_PLAIN, "Blocked", "%lld%s", blocked,
		  blocked > 0 ? ": pods -A says which, and what they wait for" : "");
	facts_add(facts, TABLE_PLAIN, "Pods", "%lld", (long long)json_int(status, 0, "pods", NULL));
	facts_add(facts, TABLE_PLAIN, "Networks", "%lld", (long long)json_int(status, 0, "networks", NULL));
	if (ungated > 0)
		facts_add(facts, TABLE_WARNING, "Ungated",
			  "%lld networks let pods start before they are members (their type is not ufmsync)", ungated);
}

static void add_fabric(struct facts *facts, const json_t *status, int64_t now_ms)
{
	long long orphans = json_int(status, 0, "orphans", NULL), foreign = json_int(status, 0, "foreign", NULL);
	long long missing = json_int(status, 0, "missing", NULL);
	const char *audit = json_str(status, "lastAudit", NULL);
	char age[CTL_AGE_MAX];

	facts_add(facts, orphans + missing > 0 ? TABLE_WARNING : TABLE_PLAIN, "In the fabric",
		  "%lld missing, %lld orphans, %lld foreign of our range", missing, orphans, foreign);
	facts_add(facts, TABLE_PLAIN, "To be written", "%lld memberships",
		  (long long)json_int(status, 0, "queued", NULL));
	if (audit)
		facts_add_moving(facts, "Last audit", "%s (%s ago)", audit, ctl_age(age, audit, now_ms));
	else
		facts_add_moving(facts, "Last audit", "not yet");
}

static void print(struct ctl *ctl, const json_t *status)
{
	int64_t now_ms = loop_wall_ms();
	struct facts facts;

	facts_begin(&facts);
	facts_add(&facts, TABLE_PLAIN, "Version", "%s", json_str(status, "version", NULL));
	add_leader(&facts, status);
	add_backend(&facts, status, now_ms);
	add_reading(&facts, status);
	add_brake(&facts, status);
	add_counts(&facts, status);
	add_fabric(&facts, status, now_ms);
	facts_print(&facts, ctl);
}

static enum ctl_exit run(struct ctl *ctl)
{
	__attribute__((cleanup(json_freep))) json_t *status = NULL;
	struct error err = { 0 };

	if (reach_call(ctl->reach, "GET", "/v1/status", NULL, &status, &err) < 0)
		return ctl_fail(ctl, &err);
	if (ctl_is_table(ctl))
		print(ctl, status);
	else
		ctl_print_json(ctl, status);
	return CTL_DONE;
}

const struct ctl_command ctl_status = {
	.name = "status",
	.arguments = "",
	.summary = "How the service is: leader, fabric manager, queue, brake",
	.description = "Who leads, whether the fabric manager answers, how many attachments are in which state, what "
		       "waits to be\n"
		       "written, and whether orphans are kept from being removed.",
	.watches = true,
	.run = run,
};
