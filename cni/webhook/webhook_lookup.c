#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cni/webhook/webhook_private.h"

/* Requests of pods that the world does not know (yet): the API server is asked, once for all requests of one pod, and
 * only so many at a time. */

enum { READS_MAX = 64 };

enum lookup_state {
	LOOKUP_QUEUED,
	LOOKUP_READING,
	LOOKUP_READ,   /* and the answer has to be acted on */
	LOOKUP_PAUSED, /* until it is read again */
};

struct lookup {
	struct webhook *webhook;
	struct hash_node by_key, by_ticket;
	struct chain requests;
	struct chain queue;
	struct loop_timer timer;
	enum lookup_state state;
	bool answered;         /* at least once: */
	enum webhook_read how; /* the last time */
	uint64_t ticket;       /* while LOOKUP_READING */
	int64_t pause_ms;      /* the last */
	char *own_uid, *node;  /* of a pod that was found */
	bool held;             /* stays though its last request leaves */
	const char *namespace, *name, *uid;
};

static struct attach *attach_at(struct chain *place)
{
	return container_of(place, struct attach, place);
}

/* --- tables --- */

static uint64_t key_of(const struct webhook *webhook, const struct attach_request *said)
{
	return hash_text(hash_text(hash_text(webhook->waiting.seed, said->namespace), said->name), said->uid);
}

static struct lookup *find(const struct webhook *webhook, const struct attach_request *said)
{
	struct hash_node *node = hash_first(&webhook->lookups, key_of(webhook, said));

	for (; node; node = hash_next(node)) {
		struct lookup *lookup = container_of(node, struct lookup, by_key);

		if (strcmp(lookup->uid, said->uid) == 0 && strcmp(lookup->name, said->name) == 0 &&
		    strcmp(lookup->namespace, said->namespace) == 0)
			return lookup;
	}
	return NULL;
}

static struct lookup *find_ticket(const struct webhook *webhook, uint64_t ticket)
{
	struct hash_node *node = hash_first(&webhook->tickets, hash_number(0, ticket));

	while (node && container_of(node, struct lookup, by_ticket)->ticket != ticket)
		node = hash_next(node);
	return node ? container_of(node, struct lookup, by_ticket) : NULL;
}

/* --- reading --- */

static void enter_pause(struct lookup *lookup, int64_t least_ms)
{
	lookup->state = LOOKUP_PAUSED;
	lookup->pause_ms = lookup->pause_ms < least_ms ? least_ms : 2 * lookup->pause_ms;
	if (lookup->pause_ms > lookup->webhook->pace.pause_max_ms)
		lookup->pause_ms = lookup->webhook->pace.pause_max_ms;
	loop_timer_at(&lookup->timer, loop_now_ms() + lookup->pause_ms);
}

/* What follows happens on a later turn of the loop. */
static void note(struct lookup *lookup, enum webhook_read how, const char *uid, const char *node)
{
	bool found = how == WEBHOOK_READ_FOUND;
	char *own_uid = found ? mem_dup(uid) : NULL, *its_node = found ? mem_dup(node) : NULL;

	free(lookup->own_uid);
	free(lookup->node);
	lookup->own_uid = own_uid;
	lookup->node = its_node;
	lookup->answered = true;
	lookup->how = how;
	lookup->state = LOOKUP_READ;
	loop_timer_at(&lookup->timer, loop_now_ms());
}

static void start_reading(struct lookup *lookup)
{
	struct webhook *webhook = lookup->webhook;

	lookup->state = LOOKUP_READING;
	lookup->ticket = ++webhook->last_ticket;
	hash_add(&webhook->tickets, &lookup->by_ticket, hash_number(0, lookup->ticket));
	webhook->world.read(webhook->world.aux, lookup->namespace, lookup->name, lookup->uid, lookup->ticket);
}

static void read_no_more(struct lookup *lookup)
{
	hash_remove(&lookup->webhook->tickets, &lookup->by_ticket);
}

/* Many wait for their turn when the world was renewed; by then it may know their pods again. */
static void read_next(struct webhook *webhook)
{
	while (!webhook->stops && webhook->tickets.count < READS_MAX && !chain_empty(&webhook->lookup_queue)) {
		struct lookup *lookup = container_of(webhook->lookup_queue.next, struct lookup, queue);
		const char *uid = lookup->own_uid ? lookup->own_uid : lookup->uid;
		const char *node = webhook_node_of(webhook, uid);

		chain_remove(&lookup->queue);
		if (node)
			note(lookup, WEBHOOK_READ_FOUND, uid, node);
		else
			start_reading(lookup);
	}
}

static void enqueue(struct lookup *lookup)
{
	lookup->state = LOOKUP_QUEUED;
	chain_append(&lookup->webhook->lookup_queue, &lookup->queue);
	read_next(lookup->webhook);
}

void webhook_pod_read(struct webhook *webhook, uint64_t ticket, enum webhook_read how, const char *uid,
		      const char *node)
{
	struct lookup *lookup = find_ticket(webhook, ticket);

	if (!lookup) /* everybody has left */
		return;
	read_no_more(lookup);
	note(lookup, how, uid, node);
}

/* --- acting on what was read --- */

static void refuse_other_nodes(struct lookup *lookup, const char *node)
{
	for (struct chain *place = lookup->requests.next, *next; place != &lookup->requests; place = next) {
		next = place->next;
		if (strcmp(attach_at(place)->node->name, node) != 0)
			attach_wrong_node(attach_at(place));
	}
}

static void hand_over(struct lookup *lookup)
{
	struct chain all;

	chain_init(&all);
	chain_splice(&all, &lookup->requests);
	while (!chain_empty(&all)) {
		struct attach *attach = attach_at(all.next);

		attach_leave_lookup(attach);
		attach_of_pod(attach, lookup->own_uid);
	}
}

/* It is there, but nothing of it is known to be ours; perhaps in a moment. */
static void wait_on(struct lookup *lookup)
{
	struct leading leading;
	int64_t now = loop_now_ms();

	leading_now(&leading, lookup->webhook);
	for (struct chain *place = lookup->requests.next, *next; place != &lookup->requests; place = next) {
		next = place->next;
		if (!attach_decide_none(attach_at(place), &leading, now))
			attach_set_timer(attach_at(place), now);
	}
}

static void act_on_found(struct lookup *lookup)
{
	const char *node = webhook_node_of(lookup->webhook, lookup->own_uid);

	refuse_other_nodes(lookup, node ? node : lookup->node);
	if (node)
		hand_over(lookup);
	else
		wait_on(lookup);
}

static void act_on_none(struct lookup *lookup)
{
	char *message =
		mem_printf("the API server has no pod %s/%s with uid %s", lookup->namespace, lookup->name, lookup->uid);

	while (!chain_empty(&lookup->requests))
		attach_decided(attach_at(lookup->requests.next), "UnknownPod", message, true);
	free(message);
}

static void lookup_free(struct lookup *lookup)
{
	struct webhook *webhook = lookup->webhook;

	if (lookup->state == LOOKUP_READING)
		read_no_more(lookup);
	chain_remove(&lookup->queue);
	hash_remove(&webhook->lookups, &lookup->by_key);
	loop_timer_stop(&lookup->timer);
	free(lookup->own_uid);
	free(lookup->node);
	free(lookup);
	read_next(webhook);
}

static void act(struct lookup *lookup)
{
	struct webhook *webhook = lookup->webhook;

	lookup->held = true;
	if (lookup->how == WEBHOOK_READ_FOUND)
		act_on_found(lookup);
	else if (lookup->how == WEBHOOK_READ_NONE)
		act_on_none(lookup);
	lookup->held = false;
	if (chain_empty(&lookup->requests))
		lookup_free(lookup);
	else
		enter_pause(lookup, lookup->how == WEBHOOK_READ_FAILED ? webhook->pace.failed_pause_ms
								       : webhook->pace.unknown_pause_ms);
	read_next(webhook);
}

static void on_timer(struct loop_timer *timer)
{
	struct lookup *lookup = container_of(timer, struct lookup, timer);

	if (lookup->state == LOOKUP_READ)
		act(lookup);
	else
		enqueue(lookup);
}

/* --- coming and leaving --- */

static struct lookup *lookup_new(struct webhook *webhook, const struct attach_request *said)
{
	size_t size = strlen(said->namespace) + strlen(said->name) + strlen(said->uid) + 3;
	struct lookup *lookup = mem_alloc(sizeof *lookup + size);
	char *at = (char *)(lookup + 1);

	lookup->webhook = webhook;
	lookup->namespace = at;
	lookup->name = at = stpcpy(at, said->namespace) + 1;
	lookup->uid = at = stpcpy(at, said->name) + 1;
	stpcpy(at, said->uid);
	chain_init(&lookup->requests);
	chain_init(&lookup->queue);
	loop_timer_init(&lookup->timer, webhook->loop, on_timer);
	hash_add(&webhook->lookups, &lookup->by_key, key_of(webhook, said));
	return lookup;
}

void attach_look_up(struct attach *attach)
{
	struct webhook *webhook = attach->webhook;
	struct lookup *lookup = find(webhook, attach->said);
	bool is_new = !lookup;

	if (is_new)
		lookup = lookup_new(webhook, attach->said);
	attach->lookup = lookup;
	attach->missing_ms = 0;
	chain_append(&lookup->requests, &attach->place);
	attach_set_timer(attach, loop_now_ms());
	if (is_new)
		enqueue(lookup);
}

void attach_leave_lookup(struct attach *attach)
{
	struct lookup *lookup = attach->lookup;

	if (!lookup)
		return;
	attach->lookup = NULL;
	chain_remove(&attach->place);
	if (chain_empty(&lookup->requests) && !lookup->held)
		lookup_free(lookup);
}

void attach_lookup_timed_out(struct attach *attach)
{
	const struct lookup *lookup = attach->lookup;
	int64_t now = loop_now_ms();
	struct leading leading;

	leading_now(&leading, attach->webhook);
	bool found = lookup->answered && lookup->how == WEBHOOK_READ_FOUND;
	if (found && attach_decide_none(attach, &leading, now))
		return;
	if (now < attach->deadline_ms) {
		attach_set_timer(attach, now);
	} else if (!attach_decide_no_leader(attach, &leading)) {
		char *message =
			mem_printf("pod %s/%s is not known yet: the API server %s", lookup->namespace, lookup->name,
				   lookup->answered ? "could not be asked for it" : "has not answered yet");

		attach_too_late(attach, "NotMember", message);
		free(message);
	}
}

void webhook_lookups_init(struct webhook *webhook)
{
	hash_init(&webhook->lookups);
	hash_init(&webhook->tickets);
	chain_init(&webhook->lookup_queue);
}

void webhook_lookups_free(struct webhook *webhook)
{
	hash_free(&webhook->lookups);
	hash_free(&webhook->tickets);
}
