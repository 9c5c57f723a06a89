#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/net/loop.h"
#include "ufmsync/ctl/doctor.h"
#include "ufmsync/ctl/print.h"

/* A port's P_Key table holds 128 with the adapters that have virtual functions; one is the default partition. */
enum { PORT_PKEYS = 128, PORT_PKEYS_MANY = 100, NODES_MAX = 1 << 20 };

/* --- the Lease -------------------------------------------------------------------------------------------------- */

static void look_at_lease(struct doctor *doctor)
{
	__attribute__((cleanup(json_freep))) json_t *lease = NULL;
	const char *namespace = doctor_namespace(doctor), *holder, *time;
	__attribute__((cleanup(mem_freep))) char *path =
		mem_printf("/apis/coordination.k8s.io/v1/namespaces/%s/leases/ufmsync-leader", namespace);
	char age[CTL_AGE_MAX];
	struct error err;
	int64_t renewed;

	if (reach_kube(doctor->reach, "GET", path, NULL, &lease, &err) < 0) {
		if (err.kind == ERROR_GONE)
			doctor_say(doctor, DOCTOR_FAILURE, "Lease",
				   "there is none in namespace %s: no replica ever led there; see that the service "
				   "runs, or name "
				   "its namespace with --service-namespace",
				   namespace);
		else
			doctor_say(doctor, err.kind == ERROR_AUTH ? DOCTOR_WARNING : DOCTOR_FAILURE, "Lease",
				   "not looked at: %s", err.text);
		return;
	}
	holder = json_str(lease, "spec", "holderIdentity", NULL);
	time = json_str(lease, "spec", "renewTime", NULL);
	int64_t lasts_ms = json_int(lease, 0, "spec", "leaseDurationSeconds", NULL) * 1000;
	ctl_age(age, time, loop_wall_ms());
	if (!holder || !*holder)
		doctor_say(doctor, DOCTOR_FAILURE, "Lease", "nobody leads: see that the service runs");
	else if (!time || !json_time_ms(&renewed, time) || loop_wall_ms() > renewed + lasts_ms)
		doctor_say(doctor, DOCTOR_FAILURE, "Lease",
			   "nobody leads: %s has not renewed it for %s; see that the service runs, and its log", holder,
			   age);
	else
		doctor_say(doctor, DOCTOR_OK, "Lease", "%s leads, renewed %s ago", holder, age);
}

/* --- its own word ----------------------------------------------------------------------------------------------- */

static void say_backend(struct doctor *doctor, const json_t *status)
{
	const char *name = json_str(status, "backend", "name", NULL);
	const char *message = json_str(status, "backend", "error", "message", NULL);

	if (message)
		doctor_say(doctor, DOCTOR_FAILURE, "fabric manager", "the service says: %s", message);
	else
		doctor_say(doctor, DOCTOR_OK, "fabric manager", "answers the service (%s)", name ? name : "none");
}

static void say_orphans(struct doctor *doctor, const json_t *status)
{
	const char *brake = json_str(status, "brake", NULL);
	long long orphans = json_int(status, 0, "orphans", NULL);

	if (brake && strcmp(brake, "off") != 0)
		doctor_say(doctor, strcmp(brake, "latched") == 0 ? DOCTOR_FAILURE : DOCTOR_WARNING, "orphans",
			   "%lld, and the brake is on: see that no other cluster uses this range of GUIDs, then "
			   "ufmsyncctl "
			   "orphans --confirm",
			   orphans);
	else
		doctor_say(doctor, DOCTOR_OK, "orphans", "%lld, and the brake is off", orphans);
}

static void say_attachments(struct doctor *doctor, const json_t *status)
{
	long long blocked = json_int(status, 0, "blocked", NULL), missing = json_int(status, 0, "missing", NULL);

	if (blocked > 0)
		doctor_say(doctor, DOCTOR_WARNING, "attachments",
			   "%lld wait for a network, a PKey or a GUID: ufmsyncctl pods -A -o wide says which", blocked);
	if (missing > 0)
		doctor_say(doctor, DOCTOR_WARNING, "attachments",
			   "%lld memberships were taken away in the fabric and are being put back: ufmsyncctl diff; "
			   "see who "
			   "else writes",
			   missing);
	if (blocked + missing == 0)
		doctor_say(doctor, DOCTOR_OK, "attachments", "none waits for anybody, none is missing");
}

static bool look_at_status(struct doctor *doctor)
{
	__attribute__((cleanup(json_freep))) json_t *status = NULL;
	struct error err;

	if (reach_call(doctor->reach, "GET", "/v1/status", NULL, &status, &err) < 0) {
		doctor_say(doctor, DOCTOR_FAILURE, "service", "%s", err.text);
		return false;
	}
	const char *version = json_str(status, "version", NULL);
	bool reading = !json_is_true(json_object_get(status, "synced"));
	doctor_say(doctor, reading ? DOCTOR_WARNING : DOCTOR_OK, "service", "version %s%s",
		   version ? version : "not said", reading ? ", has not read pods and networks yet: ask again" : "");
	say_backend(doctor, status);
	if (json_is_true(json_at(status, "leader", "here", NULL))) {
		say_orphans(doctor, status);
		say_attachments(doctor, status);
	}
	return true;
}

/* --- what is on pods -------------------------------------------------------------------------------------------- */

struct node {
	struct hash_node node;
	struct pkey_set pkeys;
	unsigned n;
	char name[];
};

struct census {
	struct hash nodes;
	struct node **all;
	size_t n;
	uint64_t published, recorded;
};

static struct node *node_of(struct census *census, const char *name)
{
	uint64_t hash = hash_text(0, name);

	for (struct hash_node *at = hash_first(&census->nodes, hash); at; at = hash_next(at))
		if (strcmp(container_of(at, struct node, node)->name, name) == 0)
			return container_of(at, struct node, node);
	size_t size = strlen(name) + 1;
	struct node *node = mem_alloc(sizeof *node + size);
	memcpy(node->name, name, size);
	node->n = 1; /* the default partition */
	hash_add(&census->nodes, &node->node, hash);
	census->all = mem_resize(census->all, census->n + 1, sizeof(struct node *));
	census->all[census->n++] = node;
	return node;
}

static int see_attachment(void *aux, const json_t *item, struct error *err)
{
	struct census *census = aux;
	const char *state = json_str(item, "state", NULL), *name = json_str(item, "node", NULL);
	const json_t *memberships = json_object_get(item, "memberships"), *one;
	size_t i;

	(void)err;
	if (!state || strcmp(state, "resting") == 0 || strcmp(state, "leaving") == 0)
		return 0;
	if (strcmp(state, "published") == 0) {
		census->published++;
		census->recorded += json_is_true(json_object_get(item, "recorded"));
	}
	if (!name || !*name || census->n >= NODES_MAX)
		return 0;
	json_array_foreach(memberships, i, one)
	{
		const char *text = json_str(one, "pkey", NULL);
		struct node *node = node_of(census, name);
		struct pkey pkey;
		if (!text || !pkey_parse(&pkey, text) || pkey_set_has(&node->pkeys, pkey))
			continue;
		pkey_set_add(&node->pkeys, pkey);
		node->n++;
	}
	return 0;
}

static void say_records(struct doctor *doctor, const struct census *census)
{
	if (census->recorded < census->published)
		doctor_say(doctor, DOCTOR_WARNING, "records",
			   "%llu of %llu published networks are on no valid record: set UFMSYNC_RECORD_KEY for the "
			   "service, or "
			   "after a restart annotations alone decide",
			   (unsigned long long)(census->published - census->recorded),
			   (unsigned long long)census->published);
	else
		doctor_say(doctor, DOCTOR_OK, "records", "all of %llu published networks are on valid records",
			   (unsigned long long)census->published);
}

static void say_budget(struct doctor *doctor, const struct census *census)
{
	const struct node *most = NULL;

	for (size_t i = 0; i < census->n; i++)
		if (!most || census->all[i]->n > most->n)
			most = census->all[i];
	if (!most)
		doctor_say(doctor, DOCTOR_OK, "PKeys a node", "none in use");
	else if (most->n > PORT_PKEYS_MANY)
		doctor_say(doctor, DOCTOR_WARNING, "PKeys a node",
			   "%u on node %s, the default one included: a port's table holds %d, and further pods there%s "
			   "fail to "
			   "get their PKey if they share a port: spread them, or use fewer PKeys",
			   most->n, most->name, PORT_PKEYS, most->n > PORT_PKEYS ? "" : " may soon");
	else
		doctor_say(doctor, DOCTOR_OK, "PKeys a node", "at most %u (node %s), of %d that a port's table holds",
			   most->n, most->name, PORT_PKEYS);
}

static void look_at_pods(struct doctor *doctor, struct reach *reach)
{
	struct census census = { 0 };
	const struct reach_list pages = { NULL, see_attachment, &census };
	struct error err;

	hash_init(&census.nodes);
	if (reach_each(reach, "/v1/attachments", &pages, &err) < 0) {
		doctor_say(doctor, DOCTOR_FAILURE, "attachments", "%s", err.text);
	} else {
		if (reach == doctor->reach) /* else annotations count as well */
			say_records(doctor, &census);
		say_budget(doctor, &census);
	}
	for (size_t i = 0; i < census.n; i++)
		free(census.all[i]);
	free(census.all);
	hash_free(&census.nodes);
}

/* --- the https port --------------------------------------------------------------------------------------------- */

static void look_at_https(struct doctor *doctor)
{
	__attribute__((cleanup(json_freep))) json_t *secret = NULL;
	__attribute__((cleanup(mem_freep))) char *path =
		mem_printf("/api/v1/namespaces/%s/secrets/ufmsync-tls", doctor_namespace(doctor));
	struct error err;

	if (reach_kube(doctor->reach, "GET", path, NULL, &secret, &err) < 0) {
		if (err.kind == ERROR_GONE)
			doctor_say(doctor, DOCTOR_WARNING, "https certificate",
				   "not looked at: there is no Secret ufmsync-tls in namespace %s",
				   doctor_namespace(doctor));
		else
			doctor_say(doctor, DOCTOR_WARNING, "https certificate", "not looked at: %s", err.text);
		return;
	}
	doctor_look_at_certificate(doctor, "https certificate", json_str(secret, "data", "tls.crt", NULL),
				   "renew the Secret ufmsync-tls; it is taken up without a restart");
}

/* The service does not answer: what is on pods can be read all the same. */
static void look_at_pods_directly(struct doctor *doctor)
{
	struct reach_options options = doctor->ctl->reach_options;
	struct reach *reach;
	struct error err;

	options.quiet = true; /* what it would remark was said in lines of their own */
	if (reach_open(&reach, &options, &err) < 0) {
		doctor_say(doctor, DOCTOR_FAILURE, "attachments", "%s", err.text);
		return;
	}
	look_at_pods(doctor, reach);
	reach_close(reach);
}

void doctor_look_at_service(struct doctor *doctor)
{
	look_at_lease(doctor);
	if (look_at_status(doctor))
		look_at_pods(doctor, doctor->reach);
	else if (doctor->direct)
		look_at_pods_directly(doctor);
	look_at_https(doctor);
}
