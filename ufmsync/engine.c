#include "ufmsync/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Its making and its end, and looking at it from outside. */

enum { BATCH_MAX = 500 };

void engine_options_init(struct engine_options *options)
{
	*options = (struct engine_options){
		.first = { 0x0200000000000000 },
		.last = { 0x02ffffffffffffff },
		.policy = ENGINE_POLICY_NAMESPACE,
		.index0 = true,
		.gate = ENGINE_GATE_MEMBER,
		.orphans = ENGINE_ORPHANS_BRAKE,
		.rest_ms = 60000,
		.rest_unsure_ms = 3600000,
		.rest_early_ms = 5000,
		.orphan_grace_ms = 60000,
		.audit_ms = 60000,
		.gather_ms = 20,
		.write_timeout_ms = 10000,
		.batch_max = BATCH_MAX,
		.patches_max = 64,
	};
	static const char *const shared[] = { "kube-system", "default", NULL };
	options->shared_namespaces = shared;
	for (int pkey = PKEY_FIRST; pkey <= PKEY_LAST; pkey++)
		pkey_set_add(&options->pkeys, (struct pkey){ (uint16_t)pkey });
}

static void init_chains(struct engine *e)
{
	struct chain *const all[] = { &e->nets,        &e->spaces,          &e->pods,
				      &e->gone_pods,   &e->partitions,      &e->work[0],
				      &e->work[1],     &e->work[2],         &e->work[3],
				      &e->requesting,  &e->dirty_nets,      &e->dirty_spaces,
				      &e->decisions,   &e->pool_waiting,    &e->ring,
				      &e->ring_remove, &e->writes[0].items, &e->writes[1].items,
				      &e->lists,       &e->finished,        &e->due_partitions,
				      &e->tombstones,  &e->foreigners,      &e->events,
				      &e->awaited,     &e->changed,         &e->coming,
				      &e->going,       &e->saying,          &e->unanswered,
				      &e->standing };
	for (size_t i = 0; i < array_length(all); i++)
		chain_init(all[i]);
	struct hash *const tables[] = { &e->texts,   &e->nets_by_name, &e->spaces_by_name, &e->pods_by_uid,
					&e->holders, &e->sightings,    &e->guid_waits,     &e->awaiters,
					&e->nodes,   &e->node_pkeys };
	for (size_t i = 0; i < array_length(tables); i++)
		hash_init(tables[i]);
}

static void copy_shared(struct engine *e, const char *const *shared)
{
	size_t n = 0;
	while (shared && shared[n])
		n++;
	e->shared = mem_array(n + 1, sizeof *e->shared);
	for (size_t i = 0; i < n; i++)
		e->shared[i] = engine_text(e, shared[i]);
}

struct engine *engine_new(const struct engine_options *options)
{
	struct engine *e = mem_alloc(sizeof *e);
	e->options = *options;
	e->options.shared_namespaces = NULL;
	assert(options->batch_max > 0 && options->patches_max > 0 && options->write_timeout_ms >= 0);
	if (e->options.batch_max > BATCH_MAX)
		e->options.batch_max = BATCH_MAX;
	e->pool = guid_pool_new(options->first, options->last, options->start);
	assert(e->pool);
	e->seed = hash_number(options->start, 0);
	e->now = INT64_MIN;
	e->last_audit = -1;
	e->wall_offset = options->wall_offset_ms;
	e->limited = options->limited.v && pkey_set_has(&options->pkeys, options->limited);
	e->by_pkey = mem_array(PKEY_COUNT, sizeof(struct partition *));
	e->listed_of = mem_array(PKEY_COUNT, sizeof *e->listed_of);
	e->listing_of = mem_array(PKEY_COUNT, sizeof *e->listing_of);
	e->nodes_with = mem_array(PKEY_COUNT, sizeof *e->nodes_with);
	e->guids = mem_array(e->options.batch_max, sizeof *e->guids);
	e->publications = mem_array(POD_NETWORKS_MAX + 1, sizeof *e->publications);
	e->pool_wake.kind = WAKE_POOL;
	e->write_wake.kind = WAKE_WRITE;
	e->audit_wake.kind = WAKE_AUDIT;
	engine_tally_init(&e->own_tally);
	e->tally = options->tally ? options->tally : &e->own_tally;
	e->tell_wake.kind = WAKE_TELL;
	init_chains(e);
	copy_shared(e, options->shared_namespaces);
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	engine_await_free(e);
	engine_pods_free(e);
	engine_lists_free(e);
	engine_strays_free(e);
	engine_networks_free(e);
	engine_events_free(e);
	for (size_t i = 0; e->shared[i]; i++)
		engine_text_drop(e, e->shared[i]);
	free(e->shared);
	assert(!e->texts.count && !e->holders.count && !e->sightings.count && !e->guid_waits.count);
	assert(!e->nodes.count && !e->node_pkeys.count && !e->n_wanted && !e->node_pkeys_max && !e->nodes_over);
	assert(!e->n_to_write[0] && !e->n_unwritten && chain_empty(&e->coming) && chain_empty(&e->going));
	hash_free(&e->texts);
	hash_free(&e->nets_by_name);
	hash_free(&e->spaces_by_name);
	hash_free(&e->pods_by_uid);
	hash_free(&e->holders);
	hash_free(&e->sightings);
	hash_free(&e->guid_waits);
	hash_free(&e->awaiters);
	hash_free(&e->nodes);
	hash_free(&e->node_pkeys);
	wakes_free(&e->wakes);
	free(e->by_pkey);
	free(e->listed_of);
	free(e->listing_of);
	free(e->nodes_with);
	free(e->guids);
	free(e->publications);
	free(e->record);
	guid_pool_free(e->pool);
	free(e);
}

void engine_set_wall_offset(struct engine *e, int64_t wall_offset_ms)
{
	e->wall_offset = wall_offset_ms;
}

/* What was signed before stays as it is: a record is written anew only when the pod is patched for another reason. */
void engine_set_keys(struct engine *e, const struct record_keys *keys)
{
	e->options.keys = keys;
}

/* --- what an operator may ask for --- */

bool engine_is_settled(const struct engine *e)
{
	return e->settled;
}

void engine_confirm(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->settled = true;
	e->latched = false;
	e->epoch++;
	engine_strays_confirmed(e);
	e->confirmed_orphans = e->strays[STRAY_ORPHAN];
	e->audit_due = e->phase >= PHASE_LIST;
}

void engine_audit(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->audit_due = e->phase >= PHASE_LIST;
}

void engine_retry(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->auth_failures = 0;
	e->write_not_before = 0;
	if (e->audit_failures && !e->listing_all)
		wake_set(&e->wakes, &e->audit_wake, now);
	e->audit_failures = 0;
	for (struct chain *at = e->partitions.next; at != &e->partitions; at = at->next) {
		struct partition *partition = container_of(at, struct partition, in_partitions);
		if (partition->list_failures && !partition->listing)
			engine_want_list(e, partition, now);
	}
}

/* --- what is --- */

const char *attachment_state_name(enum attachment_state state)
{
	static const char *const names[ATTACHMENT_STATES] = {
		[ATTACHMENT_WANTED] = "wanted",   [ATTACHMENT_JOINING] = "joining",
		[ATTACHMENT_MEMBER] = "member",   [ATTACHMENT_PUBLISHED] = "published",
		[ATTACHMENT_LEAVING] = "leaving", [ATTACHMENT_RESTING] = "resting",
	};
	return state < ATTACHMENT_STATES ? names[state] : "?";
}

void engine_status(const struct engine *e, struct engine_status *status)
{
	*status = (struct engine_status){
		.observing = e->observing,
		.leading = e->phase != PHASE_FOLLOW && !e->observing,
		.synced = e->pods_sync.synced && e->nets_sync.synced && e->spaces_sync.synced,
		.listed = e->listed,
		.settled = e->settled,
		.brake = ENGINE_BRAKE_OFF,
		.blocked = e->n_blocked,
		.pods = e->n_pods,
		.networks = e->n_networks,
		.ungated = e->n_ungated,
		.orphans = e->strays[STRAY_ORPHAN],
		.foreign = e->strays[STRAY_FOREIGN],
		.missing = e->n_missing,
		.queued = e->queued,
		.wanted = e->n_wanted,
		.unexpected = e->strays[STRAY_UNEXPECTED],
		.to_join = e->n_to_write[0],
		.to_leave = e->n_to_write[1],
		.to_patch = e->n_unwritten,
		.oldest = engine_oldest(e),
		.node_pkeys_max = e->node_pkeys_max ? e->node_pkeys_max + 1 : 0,
		.nodes_over = e->nodes_over,
		.joins = e->done_joins,
		.leaves = e->done_leaves,
		.lists = e->done_lists,
		.patches = e->done_patches,
		.last_audit = e->last_audit,
		.pool = guid_pool_use(e->pool),
	};
	for (int i = 0; i < ATTACHMENT_STATES; i++)
		status->attachments[i] = e->n_attachments[i];
	if (e->options.orphans == ENGINE_ORPHANS_KEEP)
		status->foreign += status->orphans;
	if (e->options.orphans == ENGINE_ORPHANS_BRAKE && status->leading)
		status->brake = e->latched    ? ENGINE_BRAKE_LATCHED
				: !e->settled ? ENGINE_BRAKE_UNSETTLED
					      : ENGINE_BRAKE_OFF;
}

static bool all_listed(const struct attachment *a)
{
	for (unsigned i = 0; i < a->n_seats; i++)
		if (a->seats[i].state != SEAT_LISTED)
			return false;
	return true;
}

/* The same rules by which it is published; and a membership that got lost shuts the gate until it is back. */
static bool is_attachable(const struct engine *e, const struct attachment *a)
{
	if (attachment_is_over(a) || a->pod->gone)
		return false;
	if (e->phase == PHASE_FOLLOW)
		return a->recorded;
	if (e->phase != PHASE_RUN || !a->has_guid)
		return false;
	if (engine_broken(BREAK_ATTACH_EARLY))
		return true;
	/* A dead leader's last patch may still show that the pod got another one. */
	if (!e->quiet_over && !a->published && !a->by_record)
		return false;
	return e->options.gate == ENGINE_GATE_ASSIGNED ||
	       ((a->state == ATTACHMENT_MEMBER || a->state == ATTACHMENT_PUBLISHED) && all_listed(a));
}

/* Whether somebody must change something: the pod, the network, the namespace or our settings. */
static bool is_refusal(const char *reason)
{
	static const char *const refusals[] = { "BadPKey", "PKeyNotAllowed", "NetworkUnreadable", "GUIDOutOfRange" };
	for (size_t i = 0; reason && i < array_length(refusals); i++)
		if (!strcmp(reason, refusals[i]))
			return true;
	return false;
}

/* Until it is decided it has none but its network's: what stands in the annotation then is only somebody's wish. */
static const char *pkey_text_of(const struct attachment *a)
{
	const struct network *def = a->net->def;
	if (a->has_guid || a->recorded)
		return a->pkey_text ? a->pkey_text->s : NULL;
	return def && def->has_pkey == NETWORK_PKEY_VALID ? def->pkey_text : NULL;
}

void engine_view_of(const struct engine *e, struct attachment_view *view, const struct attachment *a)
{
	const struct engine_pod *p = a->pod;
	*view = (struct attachment_view){
		.pod_namespace = p->space->name,
		.pod_name = p->name,
		.pod_uid = p->text,
		.node = p->node->name,
		.network_namespace = a->net->text,
		.network_name = a->net->name,
		.interface = a->interface ? a->interface->s : "",
		.config_name = a->net->def ? a->net->def->config_name : "",
		.pkey_text = pkey_text_of(a),
		.source = (enum pod_source)a->source,
		.index = a->index,
		.state = (enum attachment_state)a->state,
		.has_guid = a->has_guid,
		.recorded = a->recorded || a->by_record || (a->published && a->pod->record_content),
		.attachable = is_attachable(e, a),
		.since = e->observing ? -1 : a->since,
		.blocked_reason = a->blocked_reason,
		.refused = is_refusal(a->blocked_reason),
		.blocked_text = a->blocked_text,
	};
	if (a->configured && a->wish_kind == POD_WISH_GUID)
		view->annotated = a->wish;
	if (!a->has_guid && !a->recorded)
		return;
	view->guid = a->guid;
	for (unsigned i = 0; i < a->n_seats; i++)
		view->memberships[view->n_memberships++] = (struct pkey_class){
			a->seats[i].partition->pkey,
			a->seats[i].limited ? MEMBERSHIP_LIMITED : MEMBERSHIP_FULL,
			a->seats[i].index0,
		};
}

static void each_in(const struct engine *e, const struct engine_pod *p,
		    void (*visit)(void *aux, const struct attachment_view *view), void *aux)
{
	for (const struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment_view view;
		engine_view_of(e, &view, container_of(at, struct attachment, in_pod));
		visit(aux, &view);
	}
}

static void each_of(const struct engine *e, const struct chain *pods,
		    void (*visit)(void *aux, const struct attachment_view *view), void *aux)
{
	for (const struct chain *at = pods->next; at != pods; at = at->next)
		each_in(e, container_of(at, struct engine_pod, in_pods), visit, aux);
}

void engine_each(const struct engine *e, void (*visit)(void *aux, const struct attachment_view *view), void *aux)
{
	each_of(e, &e->pods, visit, aux);
	each_of(e, &e->gone_pods, visit, aux);
}

const char *engine_pod_node(const struct engine *e, const char *uid)
{
	const struct engine_pod *p = engine_pod_find(e, uid);
	return p ? p->node->name : NULL;
}

void engine_each_of_pod(const struct engine *e, const char *uid,
			void (*visit)(void *aux, const struct attachment_view *view), void *aux)
{
	const struct engine_pod *p = engine_pod_find(e, uid);
	if (p)
		each_in(e, p, visit, aux);
}
