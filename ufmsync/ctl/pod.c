#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/net/loop.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/facts.h"
#include "ufmsync/ctl/history.h"
#include "ufmsync/ctl/print.h"
#include "ufmsync/ctl/why.h"
#include "ufmsync/kube/network.h"

/* All that is known of one pod; what could not be read has its error instead. */
struct known {
	char *namespace, *name;
	json_t *attachments;  /* array */
	json_t *pod, *events; /* NULL: not readable, or not there */
	struct error pod_error, events_error;
	struct history *history;
};

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int keep(void *aux, const json_t *item, struct error *err)
{
	json_t *list = aux;

	(void)err;
	json_array_append(list, (json_t *)(uintptr_t)item);
	return 0;
}

static int read_attachments(struct ctl *ctl, struct known *known, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *path =
		reach_path("/v1/attachments", "namespace", known->namespace, "pod", known->name, NULL);
	const struct reach_list list = { .item = keep, .aux = known->attachments };

	return reach_each(ctl->reach, path, &list, err);
}

static void read_pod(struct ctl *ctl, struct known *known)
{
	__attribute__((cleanup(mem_freep))) char *namespace = reach_segment(known->namespace);
	__attribute__((cleanup(mem_freep))) char *name = reach_segment(known->name);
	__attribute__((cleanup(mem_freep))) char *path = mem_printf("/api/v1/namespaces/%s/pods/%s", namespace, name);

	reach_kube(ctl->reach, "GET", path, NULL, &known->pod, &known->pod_error);
}

static void read_events(struct ctl *ctl, struct known *known)
{
	__attribute__((cleanup(mem_freep))) char *namespace = reach_segment(known->namespace);
	__attribute__((cleanup(mem_freep))) char *base =
		mem_printf("/apis/events.k8s.io/v1/namespaces/%s/events", namespace);
	__attribute__((cleanup(mem_freep))) char *selector = mem_printf("regarding.name=%s", known->name);
	__attribute__((cleanup(mem_freep))) char *path =
		reach_path(base, "fieldSelector", selector, "limit", "500", NULL);

	reach_kube(ctl->reach, "GET", path, NULL, &known->events, &known->events_error);
}

/* An Event of an earlier pod of that name is none of this one's. */
static bool is_of_pod(const json_t *event, const json_t *pod)
{
	const char *uid = json_str(event, "regarding", "uid", NULL), *own = json_str(pod, "metadata", "uid", NULL);
	const char *kind = json_str(event, "regarding", "kind", NULL);

	return (!kind || strcmp(kind, "Pod") == 0) && (!own || !uid || strcmp(uid, own) == 0);
}

static void fill_history(struct known *known)
{
	const json_t *events = json_object_get(known->events, "items");

	known->history = history_new();
	if (known->pod)
		history_pod(known->history, known->pod);
	for (size_t i = 0; i < json_array_size(events); i++)
		if (is_of_pod(json_array_get(events, i), known->pod))
			history_event(known->history, json_array_get(events, i));
	for (size_t i = 0; i < json_array_size(known->attachments); i++)
		history_attachment(known->history, json_array_get(known->attachments, i));
}

/* "namespace/name" of a network, as the API server has it: "ufmsync, pkey 0x5", or what is wrong with it. */
static char *describe_nad(struct ctl *ctl, const char *network)
{
	const char *slash = network ? strchr(network, '/') : NULL;
	__attribute__((cleanup(json_freep))) json_t *object = NULL;
	struct error err = { 0 };

	if (!slash)
		return NULL;
	__attribute__((cleanup(mem_freep))) char *space = mem_dup_n(network, (size_t)(slash - network));
	__attribute__((cleanup(mem_freep))) char *namespace = reach_segment(space), *name = reach_segment(slash + 1);
	__attribute__((cleanup(mem_freep))) char *path =
		mem_printf("/apis/k8s.cni.cncf.io/v1/namespaces/%s/network-attachment-definitions/%s", namespace, name);
	if (reach_kube(ctl->reach, "GET", path, NULL, &object, &err) < 0)
		return mem_dup(err.kind == ERROR_GONE   ? "does not exist"
			       : err.kind == ERROR_AUTH ? "not readable by you"
							: "not read");
	struct network *nad = network_from_json(object);
	char *text;
	if (!nad || nad->kind == NETWORK_OTHER)
		text = mem_dup("not InfiniBand");
	else if (nad->kind == NETWORK_UNREADABLE)
		text = mem_printf("unreadable: %s", nad->problem);
	else
		text = mem_printf("%s%s%s%s", nad->pkey_text ? "pkey " : "no pkey",
				  nad->pkey_text ? nad->pkey_text : "",
				  nad->has_pkey == NETWORK_PKEY_BAD ? " (not a PKey)" : "",
				  nad->gated ? "" : ", pod may start before it is a member");
	network_free(nad);
	return text;
}

/* --- printing --------------------------------------------------------------------------------------------------- */

static void print_facts(struct ctl *ctl, const struct known *known)
{
	const char *phase = json_str(known->pod, "status", "phase", NULL);
	const char *node = json_str(known->pod, "spec", "nodeName", NULL);
	struct facts facts;

	facts_begin(&facts);
	facts_add(&facts, TABLE_PLAIN, "Pod", "%s/%s", known->namespace, known->name);
	if (known->pod) {
		bool deleted = json_str(known->pod, "metadata", "deletionTimestamp", NULL) != NULL;
		facts_add(&facts, TABLE_PLAIN, "Node", "%s", node && *node ? node : "-");
		facts_add(&facts, TABLE_PLAIN, "Phase", "%s%s", phase ? phase : "?", deleted ? ", being deleted" : "");
	} else {
		facts_add(&facts, TABLE_WARNING, "Not read", "%s",
			  known->pod_error.kind == ERROR_GONE ? "the pod is gone" : known->pod_error.text);
	}
	for (size_t i = 0; i < json_array_size(known->attachments); i++) {
		const json_t *one = json_array_get(known->attachments, i);
		__attribute__((cleanup(mem_freep))) char *why = ctl_why(one);
		__attribute__((cleanup(mem_freep))) char *network = ctl_network(one, known->namespace);

		facts_add(&facts, ctl_why_colour(one), "InfiniBand", "%s %s", network ? network : "?", why);
	}
	if (json_array_size(known->attachments) == 0 && known->pod) {
		__attribute__((cleanup(mem_freep))) char *why = ctl_why_none(known->pod);
		facts_add(&facts, TABLE_WARNING, "InfiniBand", "none: it %s", why);
	}
	if (!known->events)
		facts_add(&facts, TABLE_WARNING, "No Events", "%s", known->events_error.text);
	facts_print(&facts, ctl);
}

static void print_attachments(struct ctl *ctl, const struct known *known)
{
	enum { NETWORK, PKEY, GUID, STATE, SINCE, NAD, COLUMNS };
	static const struct table_column columns[COLUMNS] = {
		[NETWORK] = { .title = "NETWORK", .may_cut = true, .key = true },
		[PKEY] = { .title = "PKEY" },
		[GUID] = { .title = "GUID" },
		[STATE] = { .title = "STATE" },
		[SINCE] = { .title = "AGE", .moves = true },
		[NAD] = { .title = "DEFINITION", .may_cut = true },
	};
	struct table *table = table_new(columns, COLUMNS);

	for (size_t i = 0; i < json_array_size(known->attachments); i++) {
		const json_t *one = json_array_get(known->attachments, i);
		const char *state = json_str(one, "state", NULL);
		__attribute__((cleanup(mem_freep))) char *network = ctl_network(one, known->namespace);
		__attribute__((cleanup(mem_freep))) char *nad = describe_nad(ctl, json_str(one, "network", NULL));
		char pkey[CTL_PKEY_MAX], age[CTL_AGE_MAX];

		table_row(table, (const char *const[COLUMNS]){
					 [NETWORK] = network,
					 [PKEY] = ctl_pkey(pkey, json_str(one, "pkey", NULL)),
					 [GUID] = json_str(one, "guid", NULL),
					 [STATE] = state,
					 [SINCE] = ctl_age(age, json_str(one, "since", NULL), loop_wall_ms()),
					 [NAD] = nad,
				 });
		table_colour(table, STATE, ctl_why_colour(one));
	}
	ctl_print(ctl, table);
}

static void blank_line(const struct ctl *ctl)
{
	if (!ctl->watch)
		fputc('\n', ctl->out);
}

static void print(struct ctl *ctl, const struct known *known)
{
	print_facts(ctl, known);
	if (json_array_size(known->attachments) > 0) {
		blank_line(ctl);
		print_attachments(ctl, known);
	}
	blank_line(ctl);
	history_print(known->history, ctl);
}

static void print_object(struct ctl *ctl, const struct known *known)
{
	const char *phase = json_str(known->pod, "status", "phase", NULL);
	json_t *why = json_array(), *object;

	for (size_t i = 0; i < json_array_size(known->attachments); i++) {
		char *text = ctl_why(json_array_get(known->attachments, i));
		json_array_append_new(why, json_string(text));
		free(text);
	}
	object = json_pack("{s:s, s:s, s:s?, s:O, s:o, s:o}", "namespace", known->namespace, "name", known->name,
			   "phase", phase, "attachments", known->attachments, "why", why, "history",
			   history_json(known->history));
	ctl_print_json(ctl, object);
	json_decref(object);
}

/* --- the command ------------------------------------------------------------------------------------------------ */

/* "NAMESPACE/NAME", or a NAME of the namespace that is meant. */
static int read_name(struct ctl *ctl, struct known *known)
{
	const char *text = ctl->argv[0], *slash = strchr(text, '/');

	known->namespace = slash ? mem_dup_n(text, (size_t)(slash - text)) : mem_dup(ctl->namespace);
	known->name = mem_dup(slash ? slash + 1 : text);
	return *known->namespace && *known->name && !strchr(known->name, '/') ? 0 : -1;
}

static void free_known(struct known *known)
{
	free(known->namespace);
	free(known->name);
	json_decref(known->attachments);
	json_decref(known->pod);
	json_decref(known->events);
	history_free(known->history);
}

static enum ctl_exit look(struct ctl *ctl, struct known *known)
{
	struct error err = { 0 };

	known->attachments = json_array();
	if (read_attachments(ctl, known, &err) < 0)
		return ctl_fail(ctl, &err);
	read_pod(ctl, known);
	if (!known->pod && json_array_size(known->attachments) == 0) {
		if (known->pod_error.kind == ERROR_GONE)
			error_set(&known->pod_error, ERROR_GONE, "there is no pod %s/%s", known->namespace,
				  known->name);
		return ctl_fail(ctl, &known->pod_error);
	}
	read_events(ctl, known);
	fill_history(known);
	if (ctl_is_table(ctl))
		print(ctl, known);
	else
		print_object(ctl, known);
	return CTL_DONE;
}

static enum ctl_exit run(struct ctl *ctl)
{
	struct known known = { 0 };
	enum ctl_exit code;

	if (read_name(ctl, &known) < 0)
		code = ctl_usage(ctl, "'%.100s' is no pod: NAME or NAMESPACE/NAME", ctl->argv[0]);
	else
		code = look(ctl, &known);
	free_known(&known);
	return code;
}

const struct ctl_command ctl_pod = {
	.name = "pod",
	.arguments = "[NAMESPACE/]NAME",
	.least = 1,
	.most = 1,
	.summary = "Everything about one pod, and why it waits",
	.description = "Its InfiniBand networks with PKey, GUID and state, in a sentence what each waits for, what "
		       "their definitions\n"
		       "say, and what happened to it in order of time, with its Events. The pod, its Events and the "
		       "definitions are\n"
		       "read from the API server with your own rights; what you may not read is left out, and said so.",
	.watches = true,
	.run = run,
};
