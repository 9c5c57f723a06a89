#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "ufmsync/api_private.h"

/* Lists of the fabric manager: at most a few at a time, each for everybody who asks for the same meanwhile.  A list cannot
 * be taken back: when everybody has left, what it brings is dropped. */

enum { FIND_MAX = 256 }; /* PKeys in which one GUID is looked for */

struct list {
	struct api *api;
	struct chain in_lists;
	struct api_snapshot *snapshot; /* of one PKey */
	struct chain finding;          /* else calls that look for a GUID, */
	bool any_port;                 /* and one virtual port at least was told */
	int64_t wall_ms;
};

static struct api_call *waiting_at(struct chain *link)
{
	return container_of(link, struct api_call, in_waiting);
}

static void fail_all(struct chain *waiting, const char *code, const char *message)
{
	while (!chain_empty(waiting))
		api_call_fail(waiting_at(waiting->next), 503, code, "%s", message);
}

static struct list *list_new(struct api *api)
{
	struct list *list = mem_alloc(sizeof *list);

	list->api = api;
	list->wall_ms = loop_wall_ms();
	chain_init(&list->finding);
	chain_append(&api->lists, &list->in_lists);
	api->n_lists++;
	return list;
}

static void list_free(struct list *list)
{
	chain_remove(&list->in_lists);
	list->api->n_lists--;
	free(list);
}

static struct pkey_backend *backend_of(const struct api *api)
{
	return api->world.backend(api->world.aux);
}

/* --- snapshots --- */

static void snapshot_free(struct api_snapshot *snapshot)
{
	loop_timer_stop(&snapshot->timer);
	api_index_free(snapshot->index);
	free(snapshot->members);
	free(snapshot);
}

void api_snapshot_use(struct api_snapshot *snapshot)
{
	snapshot->users++;
}

void api_snapshot_drop(struct api_snapshot *snapshot)
{
	if (snapshot && --snapshot->users == 0)
		snapshot_free(snapshot);
}

/* Those that others still page through stay until they are done. */
static void snapshot_forget(struct api_snapshot *snapshot)
{
	chain_remove(&snapshot->in_snapshots);
	snapshot->api->n_snapshots--;
	api_snapshot_drop(snapshot);
}

void api_snapshots_expire(struct api *api)
{
	int64_t now = loop_now_ms();

	while (!chain_empty(&api->snapshots)) {
		struct api_snapshot *oldest = container_of(api->snapshots.next, struct api_snapshot, in_snapshots);

		if (oldest->until_ms > now) {
			loop_timer_at(&api->expiry, oldest->until_ms);
			return;
		}
		snapshot_forget(oldest);
	}
}

struct api_snapshot *api_snapshot_find(const struct api *api, uint64_t revision)
{
	for (struct chain *at = api->snapshots.next; at != &api->snapshots; at = at->next) {
		struct api_snapshot *snapshot = container_of(at, struct api_snapshot, in_snapshots);

		if (snapshot->revision == revision)
			return snapshot;
	}
	return NULL;
}

/* Complete and counted: it may be paged through from now on. */
static void snapshot_ready(struct api_snapshot *snapshot)
{
	struct api *api = snapshot->api;

	if (api->n_snapshots == API_SNAPSHOTS_MAX)
		snapshot_forget(container_of(api->snapshots.next, struct api_snapshot, in_snapshots));
	snapshot->until_ms = loop_now_ms() + API_SNAPSHOT_MS;
	snapshot->revision = ++api->listings;
	chain_remove(&snapshot->in_snapshots);
	chain_append(&api->snapshots, &snapshot->in_snapshots);
	api->n_snapshots++;
	api_snapshots_expire(api);
	while (!chain_empty(&snapshot->waiting)) {
		struct api_call *call = waiting_at(snapshot->waiting.next);

		chain_remove(&call->in_waiting);
		call->snapshot = snapshot;
		call->revision = snapshot->revision;
		api_snapshot_use(snapshot);
		api_call_go(call);
	}
}

static void count_one(struct api_snapshot *snapshot, const struct member *member)
{
	struct attachment_view space;
	const struct attachment_view *holder;
	bool right, certain;

	snapshot->full += member->membership == MEMBERSHIP_FULL;
	snapshot->kinds[api_judge(snapshot->api, snapshot->index, snapshot->pkey, member, &space, &holder, &right,
				  &certain)]++;
}

static void on_count(struct loop_timer *timer)
{
	struct api_snapshot *snapshot = container_of(timer, struct api_snapshot, timer);
	const struct loop *loop = snapshot->api->loop;

	if (chain_empty(&snapshot->waiting)) {
		chain_remove(&snapshot->in_snapshots);
		api_snapshot_drop(snapshot);
		return;
	}
	do {
		if (snapshot->index && api_index_step(snapshot->index))
			continue;
		for (int i = 0; i < 64 && snapshot->counted < snapshot->n; i++)
			count_one(snapshot, &snapshot->members[snapshot->counted++]);
		if (snapshot->counted == snapshot->n) {
			snapshot_ready(snapshot);
			return;
		}
	} while (loop_turn_ns(loop) < snapshot->api->slice_ns);
	loop_timer_at(timer, loop_now_ms());
}

/* --- the list of one PKey --- */

static void on_member(void *aux, struct pkey pkey, const struct member *member)
{
	struct list *list = aux;
	struct api_snapshot *snapshot = list->snapshot;

	if (pkey.v != snapshot->pkey.v)
		return;
	snapshot->exists = true;
	if (snapshot->n == API_MEMBERS_MAX) {
		snapshot->too_many = true;
		return;
	}
	if (snapshot->n == snapshot->capacity) {
		snapshot->capacity = snapshot->capacity ? 2 * snapshot->capacity : 256;
		snapshot->members = mem_resize(snapshot->members, snapshot->capacity, sizeof *snapshot->members);
	}
	snapshot->members[snapshot->n++] = *member;
}

static void on_partition(void *aux, struct pkey pkey, int listed_membership)
{
	struct list *list = aux;

	(void)listed_membership;
	list->snapshot->exists |= pkey.v == list->snapshot->pkey.v;
}

static void on_done(void *aux, const struct error *err)
{
	struct list *list = aux;
	struct api_snapshot *snapshot = list->snapshot;

	list_free(list);
	chain_append(&snapshot->api->counting, &snapshot->in_snapshots);
	if (err)
		fail_all(&snapshot->waiting, "FabricUnavailable", err->text);
	if (snapshot->too_many) {
		char *message =
			mem_printf("the PKey has more than %d members: they are not listed here", API_MEMBERS_MAX);

		fail_all(&snapshot->waiting, "TooManyMembers", message);
		free(message);
	}
	if (api_follows(snapshot->api))
		snapshot->index = api_index_new(snapshot->api);
	loop_timer_at(&snapshot->timer, loop_now_ms());
}

static struct api_snapshot *list_of(const struct api *api, struct pkey pkey)
{
	for (struct chain *at = api->lists.next; at != &api->lists; at = at->next) {
		struct list *list = container_of(at, struct list, in_lists);

		if (list->snapshot && list->snapshot->pkey.v == pkey.v)
			return list->snapshot;
	}
	return NULL;
}

bool api_fabric_ask(struct api_call *call, struct pkey pkey)
{
	struct api *api = call->api;
	struct pkey_backend *backend = backend_of(api);
	struct api_snapshot *snapshot = list_of(api, pkey);

	if (snapshot) {
		chain_append(&snapshot->waiting, &call->in_waiting);
		return true;
	}
	if (!backend) {
		api_call_fail(call, 503, "FabricUnavailable", "no fabric manager is configured");
		return false;
	}
	if (api->n_lists >= API_LISTS_MAX) {
		api_call_fail(call, 503, "TooManyRequests", "%d lists are being read from the fabric manager already",
			      API_LISTS_MAX);
		return false;
	}
	struct list *list = list_new(api);
	snapshot = list->snapshot = mem_alloc(sizeof *snapshot);
	snapshot->api = api;
	snapshot->users = 1;
	snapshot->pkey = pkey;
	snapshot->wall_ms = list->wall_ms;
	chain_init(&snapshot->in_snapshots);
	chain_init(&snapshot->waiting);
	loop_timer_init(&snapshot->timer, api->loop, on_count);
	chain_append(&snapshot->waiting, &call->in_waiting);
	const struct pkey_list_sink sink = { on_member, on_partition, on_done, list };
	backend->class->list(backend, &snapshot->pkey, &sink);
	return true;
}

/* --- looking for GUIDs in all PKeys --- */

static void start_finding(struct api *api);

static struct api_finding *finding_at(struct chain *link)
{
	return container_of(waiting_at(link), struct api_finding, call);
}

static void find_member(void *aux, struct pkey pkey, const struct member *member)
{
	struct list *list = aux;

	for (struct chain *at = list->finding.next; at != &list->finding; at = at->next) {
		struct api_finding *finding = finding_at(at);

		if (finding->guid.v != member->guid.v || finding->n == FIND_MAX)
			continue;
		finding->pkeys = mem_resize(finding->pkeys, finding->n + 1, sizeof *finding->pkeys);
		finding->members = mem_resize(finding->members, finding->n + 1, sizeof *finding->members);
		finding->pkeys[finding->n] = pkey;
		finding->members[finding->n++] = *member;
	}
}

static void find_end(struct list *list)
{
	struct api *api = list->api;

	while (!chain_empty(&list->finding)) {
		struct api_finding *finding = finding_at(list->finding.next);

		chain_remove(&finding->call.in_waiting);
		finding->wall_ms = list->wall_ms;
		api_call_go(&finding->call);
	}
	list_free(list);
	api->listing_all = false;
	start_finding(api);
}

/* A port that has moved may be told where it was as well. */
static void find_port(void *aux, const struct pkey_port *port)
{
	struct list *list = aux;

	list->any_port = true;
	for (struct chain *at = list->finding.next; at != &list->finding; at = at->next) {
		struct api_finding *finding = finding_at(at);

		if (finding->guid.v != port->guid.v ||
		    (finding->port_known == API_PORT_SEEN && strcasecmp(port->state, "Active") != 0))
			continue;
		finding->port_known = API_PORT_SEEN;
		finding->port = *port;
	}
}

/* Where the GUID is listed was told, so the answer stands whatever became of its port. */
static void ports_done(void *aux, const struct error *err)
{
	struct list *list = aux;

	for (struct chain *at = list->finding.next; at != &list->finding; at = at->next) {
		struct api_finding *finding = finding_at(at);

		if (err) {
			finding->port_known = API_PORT_UNKNOWN;
			finding->port_note = mem_dup(err->text);
		} else if (finding->port_known != API_PORT_SEEN) {
			finding->port_known = API_PORT_ABSENT;
			finding->port_note = mem_dup(
				list->any_port
					? "the fabric manager looks for virtual ports now and then: one that has "
					  "just come up is not known yet"
					: "the fabric manager knows no virtual port at all: looking for them "
					  "may be switched off there");
		}
	}
	find_end(list);
}

static void find_done(void *aux, const struct error *err)
{
	struct list *list = aux;
	struct pkey_backend *backend = backend_of(list->api);

	if (err)
		fail_all(&list->finding, "FabricUnavailable", err->text);
	if (chain_empty(&list->finding) || !backend || !backend->class->list_ports) {
		find_end(list);
		return;
	}
	const struct pkey_ports_sink sink = { find_port, ports_done, list };
	backend->class->list_ports(backend, &sink);
}

/* Those that come while one is under way wait for the next: it may have passed their GUID. */
static void start_finding(struct api *api)
{
	struct pkey_backend *backend = backend_of(api);

	if (api->listing_all || chain_empty(&api->finding) || !backend)
		return;
	struct list *list = list_new(api);
	chain_splice(&list->finding, &api->finding);
	api->listing_all = true;
	const struct pkey_list_sink sink = { find_member, NULL, find_done, list };
	backend->class->list(backend, NULL, &sink);
}

bool api_fabric_find(struct api_finding *finding)
{
	struct api *api = finding->call.api;
	unsigned n = 0;

	for (struct chain *at = api->finding.next; at != &api->finding; at = at->next)
		n++;
	if (!backend_of(api)) {
		api_call_fail(&finding->call, 503, "FabricUnavailable", "no fabric manager is configured");
		return false;
	}
	if (n >= API_FINDING_MAX) {
		api_call_fail(&finding->call, 503, "TooManyRequests", "%d GUIDs are being looked for already",
			      API_FINDING_MAX);
		return false;
	}
	chain_append(&api->finding, &finding->call.in_waiting);
	start_finding(api);
	return true;
}

/* --- the end --- */

void api_fabric_free(struct api *api)
{
	while (!chain_empty(&api->snapshots))
		snapshot_forget(container_of(api->snapshots.next, struct api_snapshot, in_snapshots));
	while (!chain_empty(&api->counting)) {
		struct api_snapshot *snapshot = container_of(api->counting.next, struct api_snapshot, in_snapshots);

		chain_remove(&snapshot->in_snapshots);
		api_snapshot_drop(snapshot);
	}
	while (!chain_empty(&api->lists)) {
		struct list *list = container_of(api->lists.next, struct list, in_lists);

		if (list->snapshot)
			snapshot_free(list->snapshot);
		list_free(list);
	}
}
