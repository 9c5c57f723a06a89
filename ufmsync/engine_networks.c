#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Networks and namespaces: what is defined, who waits for it, and who must be told when it changes. */

/* --- networks --- */

static uint64_t net_hash(const struct engine *e, const char *namespace, const char *name)
{
	return hash_text(hash_text(e->seed, namespace), name);
}

static struct net *net_find(const struct engine *e, const char *namespace, const char *name)
{
	uint64_t hash = net_hash(e, namespace, name);
	for (struct hash_node *n = hash_first(&e->nets_by_name, hash); n; n = hash_next(n)) {
		struct net *net = container_of(n, struct net, node);
		if (!strcmp(net->text, namespace) && !strcmp(net->name, name))
			return net;
	}
	return NULL;
}

static struct net *net_find_or_make(struct engine *e, const char *namespace, const char *name)
{
	struct net *net = net_find(e, namespace, name);
	if (net)
		return net;
	size_t namespace_len = strlen(namespace), name_len = strlen(name);
	net = mem_alloc(sizeof *net + namespace_len + name_len + 2);
	memcpy(net->text, namespace, namespace_len + 1);
	memcpy(net->text + namespace_len + 1, name, name_len + 1);
	net->name = net->text + namespace_len + 1;
	chain_init(&net->pending);
	chain_init(&net->in_dirty);
	chain_append(&e->nets, &net->in_nets);
	hash_add(&e->nets_by_name, &net->node, net_hash(e, namespace, name));
	return net;
}

static void net_release(struct engine *e, struct net *net)
{
	if (net->refs || net->def || net->other || net->let_go || chain_linked(&net->in_dirty))
		return;
	assert(chain_empty(&net->pending));
	hash_remove(&e->nets_by_name, &net->node);
	chain_remove(&net->in_nets);
	free(net);
}

struct net *engine_net_get(struct engine *e, const char *namespace, const char *name)
{
	struct net *net = net_find_or_make(e, namespace, name);
	net->refs++;
	return net;
}

void engine_net_drop(struct engine *e, struct net *net)
{
	assert(net->refs);
	net->refs--;
	net_release(e, net);
}

static void net_dirty(struct engine *e, struct net *net)
{
	if (chain_empty(&net->pending))
		return;
	if (e->net_at && e->dirty_nets.next == &net->in_dirty)
		e->net_at = net->pending.next; /* it is being walked: from the start again */
	else if (!chain_linked(&net->in_dirty))
		chain_append(&e->dirty_nets, &net->in_dirty);
}

/* --- networks that let pods start before they are members --- */

static void net_look_ungated(struct engine *e, struct net *net)
{
	bool open = net->def && net->def->kind == NETWORK_IB && !net->def->gated;
	if (!open)
		net->said_ungated = false;
	if (net->ungated != (open && net->live))
		e->n_ungated = net->ungated ? e->n_ungated - 1 : e->n_ungated + 1;
	net->ungated = open && net->live;
	if (!net->ungated || net->said_ungated || e->phase != PHASE_RUN)
		return;
	net->said_ungated = true;
	engine_say_network(
		e, net, "UngatedNetwork",
		"pods of this network start without waiting for their GUID and their membership: set "
		"\"ibKubernetesEnabled\": true in its ib-sriov config, or put a plugin of type ufmsync around "
		"it");
}

void engine_net_live(struct engine *e, struct net *net, int by)
{
	net->live += (uint32_t)by;
	if (net->live <= 1)
		net_look_ungated(e, net);
}

void engine_networks_lead(struct engine *e)
{
	for (struct chain *at = e->nets.next; at != &e->nets; at = at->next)
		net_look_ungated(e, container_of(at, struct net, in_nets));
}

/* --- definitions --- */

static void net_define(struct engine *e, struct net *net, struct network *def, bool other)
{
	if (net->def) {
		e->n_networks--;
		network_free(net->def);
	}
	net->def = def;
	net->other = other;
	if (def)
		e->n_networks++;
	if (def && def->kind == NETWORK_IB && net->let_go) {
		net->let_go = false;
		e->list_pods = true;
	}
	net_look_ungated(e, net);
	engine_await_network(e, net);
	net_dirty(e, net);
	net_release(e, net);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* The same again, or made anew with the same content. */
static void net_same(struct net *net, struct network *again)
{
	char *uid = net->def->uid;
	net->def->uid = again->uid;
	again->uid = uid;
	network_free(again);
}

static bool same_definition(const struct network *a, const struct network *b)
{
	return a->kind == b->kind && a->has_pkey == b->has_pkey && a->pkey.v == b->pkey.v &&
	       a->runtime_guid == b->runtime_guid && a->gated == b->gated && same_text(a->pkey_text, b->pkey_text) &&
	       same_text(a->problem, b->problem) && same_text(a->config_name, b->config_name);
}

void engine_network_applied(struct engine *e, struct network *network, int64_t now)
{
	engine_touch(e, now);
	struct net *net = net_find_or_make(e, network->namespace, network->name);
	net->mark = e->nets_sync.mark;
	bool other = network->kind == NETWORK_OTHER;
	if (!other && net->def && same_definition(net->def, network)) {
		net_same(net, network);
		return;
	}
	if (other) {
		network_free(network);
		network = NULL;
		if (net->other)
			return;
	}
	net_define(e, net, network, other);
}

void engine_network_deleted(struct engine *e, const char *namespace, const char *name, int64_t now)
{
	engine_touch(e, now);
	struct net *net = net_find(e, namespace, name);
	if (net)
		net_define(e, net, NULL, false);
}

void engine_networks_begin(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->nets_sync.listing = true;
	e->nets_sync.mark++;
}

void engine_networks_end(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->nets_sync.listing = false;
	for (struct chain *at = e->nets.next, *next; at != &e->nets; at = next) {
		struct net *net = container_of(at, struct net, in_nets);
		next = at->next;
		if ((net->def || net->other) && net->mark != e->nets_sync.mark)
			net_define(e, net, NULL, false);
	}
	if (!e->nets_sync.synced)
		e->reconcile_at = e->pods.next;
	e->nets_sync.synced = true;
}

static void nets_work(struct engine *e, size_t *budget)
{
	while (*budget && !chain_empty(&e->dirty_nets)) {
		struct net *net = container_of(e->dirty_nets.next, struct net, in_dirty);
		if (!e->net_at)
			e->net_at = net->pending.next;
		while (*budget && e->net_at != &net->pending) {
			struct attachment *a = container_of(e->net_at, struct attachment, in_net);
			e->net_at = e->net_at->next;
			engine_spend(budget, DECISION_COST);
			engine_network_changed(e, a);
		}
		if (e->net_at != &net->pending)
			return;
		e->net_at = NULL;
		chain_remove(&net->in_dirty);
		net_release(e, net);
	}
}

/* --- namespaces --- */

static struct space *space_find(const struct engine *e, const char *name)
{
	uint64_t hash = hash_text(e->seed, name);
	for (struct hash_node *n = hash_first(&e->spaces_by_name, hash); n; n = hash_next(n)) {
		struct space *space = container_of(n, struct space, node);
		if (!strcmp(space->name, name))
			return space;
	}
	return NULL;
}

struct space *engine_space_get(struct engine *e, const char *name)
{
	struct space *space = space_find(e, name);
	if (space)
		return space;
	size_t len = strlen(name);
	space = mem_alloc(sizeof *space + len + 1);
	memcpy(space->name, name, len + 1);
	chain_init(&space->pods);
	chain_init(&space->waiting);
	chain_init(&space->in_dirty);
	chain_append(&e->spaces, &space->in_spaces);
	hash_add(&e->spaces_by_name, &space->node, hash_text(e->seed, name));
	return space;
}

static void space_release(struct engine *e, struct space *space)
{
	if (space->rule || !chain_empty(&space->waiting) || !chain_empty(&space->pods) ||
	    chain_linked(&space->in_dirty))
		return;
	hash_remove(&e->spaces_by_name, &space->node);
	chain_remove(&space->in_spaces);
	free(space);
}

void engine_space_leave(struct engine *e, struct engine_pod *p)
{
	struct space *space = p->space;
	if (e->space_at == &p->in_space)
		e->space_at = p->in_space.next;
	chain_remove(&p->in_space);
	space_release(e, space);
}

/* Whom it kept from joining may try again; who has not joined yet is looked at again. */
static void space_changed(struct engine *e, struct space *space)
{
	for (struct chain *at = space->waiting.next; at != &space->waiting; at = at->next)
		container_of(at, struct attachment, in_wait)->wait = WAIT_DECISION;
	chain_splice(&e->decisions, &space->waiting);
	if (e->space_at && e->dirty_spaces.next == &space->in_dirty)
		e->space_at = space->pods.next;
	else if (!chain_linked(&space->in_dirty))
		chain_append(&e->dirty_spaces, &space->in_dirty);
}

static void pod_space_changed(struct engine *e, struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next, *next, *last = p->attachments.prev; at != &p->attachments;
	     at = next) {
		next = at == last ? &p->attachments : at->next; /* those that are made on the way need no look */
		engine_space_changed(e, container_of(at, struct attachment, in_pod));
	}
}

static void spaces_work(struct engine *e, size_t *budget)
{
	while (*budget && !chain_empty(&e->dirty_spaces)) {
		struct space *space = container_of(e->dirty_spaces.next, struct space, in_dirty);
		if (!e->space_at)
			e->space_at = space->pods.next;
		while (*budget && e->space_at != &space->pods) {
			struct engine_pod *p = container_of(e->space_at, struct engine_pod, in_space);
			e->space_at = e->space_at->next;
			engine_spend(budget, POD_COST);
			if (!p->gone)
				pod_space_changed(e, p);
		}
		if (e->space_at != &space->pods)
			return;
		e->space_at = NULL;
		chain_remove(&space->in_dirty);
		space_release(e, space);
	}
}

/* By the sets, not by the texts: those are cut. */
static bool same_rule(const struct namespace_rule *a, const struct namespace_rule *b)
{
	return a->has == b->has &&
	       (a->has != NAMESPACE_PKEYS_SET || !memcmp(a->allowed, b->allowed, sizeof *a->allowed));
}

void engine_namespace_applied(struct engine *e, struct namespace_rule *rule, int64_t now)
{
	engine_touch(e, now);
	struct space *space = engine_space_get(e, rule->name);
	bool same = space->rule && same_rule(space->rule, rule);
	namespace_rule_free(space->rule);
	space->rule = rule;
	space->mark = e->spaces_sync.mark;
	if (!same)
		space_changed(e, space);
}

static void space_delete(struct engine *e, struct space *space)
{
	namespace_rule_free(space->rule);
	space->rule = NULL;
	space_release(e, space);
}

void engine_namespace_deleted(struct engine *e, const char *name, int64_t now)
{
	engine_touch(e, now);
	struct space *space = space_find(e, name);
	if (space)
		space_delete(e, space);
}

void engine_namespaces_begin(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->spaces_sync.listing = true;
	e->spaces_sync.mark++;
}

void engine_namespaces_end(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->spaces_sync.listing = false;
	e->spaces_sync.synced = true;
	for (struct chain *at = e->spaces.next, *next; at != &e->spaces; at = next) {
		struct space *space = container_of(at, struct space, in_spaces);
		next = at->next;
		if (space->mark != e->spaces_sync.mark)
			space_delete(e, space);
	}
}

void engine_networks_work(struct engine *e, size_t *budget)
{
	nets_work(e, budget);
	spaces_work(e, budget);
}

void engine_networks_free(struct engine *e)
{
	for (struct chain *at = e->nets.next, *next; at != &e->nets; at = next) {
		struct net *net = container_of(at, struct net, in_nets);
		next = at->next;
		network_free(net->def);
		free(net);
	}
	for (struct chain *at = e->spaces.next, *next; at != &e->spaces; at = next) {
		struct space *space = container_of(at, struct space, in_spaces);
		next = at->next;
		namespace_rule_free(space->rule);
		free(space);
	}
}
