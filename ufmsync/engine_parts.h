#pragma once

#include "ufmsync/engine_break.h"
#include "ufmsync/engine_state.h"

/* What the files of the engine do for one another; private to ufmsync/engine*.c. */

/* engine_text.c: shared texts */
struct text *engine_text(struct engine *e, const char *s);
struct text *engine_text_ref(struct text *text);
void engine_text_drop(struct engine *e, struct text *text);

/* engine_networks.c: networks, namespaces, and what they allow */
struct net *engine_net_get(struct engine *e, const char *namespace, const char *name);
void engine_net_drop(struct engine *e, struct net *net);         /* one reference less */
void engine_net_live(struct engine *e, struct net *net, int by); /* so many more attachments use it */
void engine_networks_lead(struct engine *e);                     /* what is to be said of networks may be said now */
void engine_networks_work(struct engine *e, size_t *budget);
struct space *engine_space_get(struct engine *e, const char *name);
void engine_space_leave(struct engine *e, struct engine_pod *p);
void engine_networks_free(struct engine *e);

/* engine_tally.c: what is counted for metrics */
void engine_clock_start(const struct engine *e, struct attachment *a);
int64_t engine_clock_read(const struct engine *e,
			  const struct attachment *a);           /* milliseconds since; right for 49 days */
void engine_time_member(struct engine *e, struct attachment *a); /* it is one: noted once */
void engine_time_published(struct engine *e, struct attachment *a);
void engine_set_out(const struct engine *e, struct attachment *a, struct chain *way); /* on its way from now on */
int64_t engine_oldest(const struct engine *e);                                        /* -1: nothing is on its way */
struct node *engine_node_get(struct engine *e, const char *name);
void engine_node_drop(struct engine *e, struct node *node);          /* one reference less */
void engine_seat_count(struct engine *e, struct seat *seat, int by); /* of a live attachment: 1 one more, -1 one less */

/* engine_elements.c: which attachments a pod asks for */
void engine_pod_reconcile(struct engine *e, struct engine_pod *p);
struct attachment *engine_pod_replace(struct engine *e, struct attachment *old); /* a new one for the same element */

/* engine_pods.c: their coming and going */
struct engine_pod *engine_pod_find(const struct engine *e, const char *uid);
void engine_pods_work(struct engine *e, size_t *budget);
void engine_pod_set_work(struct engine *e, struct engine_pod *p, enum pod_work work);
void engine_pod_forget(struct engine *e, struct engine_pod *p); /* its struct pod is not needed any more */
void engine_pod_unref(struct engine *e, struct engine_pod *p);  /* frees one that is gone and has no attachment */
void engine_pod_over(struct engine *e, struct engine_pod *p, bool unsure);
void engine_pod_want_read(struct engine *e, struct engine_pod *p);
void engine_pod_start_request(struct engine *e, struct engine_pod *p, struct engine_action *action); /* one at a time */
bool engine_next_read(struct engine *e, struct engine_action *action);
void engine_pods_free(struct engine *e);

/* engine_attachment.c: the life of one attachment */
struct attachment *engine_attachment_new(struct engine *e, struct engine_pod *p, struct net *net, unsigned seats_max);
void engine_attachment_state(struct engine *e, struct attachment *a, enum attachment_state to);
void engine_attachment_block(struct engine *e, struct attachment *a, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same without an Event: it will pass by itself. */
void engine_attachment_hold(struct engine *e, struct attachment *a, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void engine_attachment_unblock(struct engine *e, struct attachment *a);
void engine_attachment_unwait(struct engine *e, struct attachment *a);
void engine_attachment_wait(struct engine *e, struct attachment *a, enum attachment_wait wait, struct chain *list);
void engine_attachment_reserve(struct engine *e, struct attachment *a, struct guid guid); /* the pool holds it */
void engine_attachment_displace(struct engine *e, struct attachment *a);                  /* an older record's claim */
void engine_attachment_settle(struct engine *e, struct attachment *a); /* its state follows its seats */
void engine_attachment_end(struct engine *e, struct attachment *a, bool unsure);
void engine_attachment_left(struct engine *e, struct attachment *a);    /* a seat has been left: perhaps all */
void engine_attachment_back(struct engine *e, struct attachment *a);    /* resting, but listed: leave again */
void engine_attachment_confirm(struct engine *e, struct attachment *a); /* resting: a seat was confirmed */
void engine_attachment_woken(struct engine *e, struct attachment *a);
void engine_attachment_free(struct engine *e, struct attachment *a);
struct attachment *engine_find_holder(const struct engine *e, struct guid guid);
void engine_guid_freed(struct engine *e, struct guid guid); /* free, or listed no more: who waits for it may try */
void engine_guid_block(struct engine *e, struct guid guid); /* the pool's mark follows what we know */
static inline bool attachment_is_fixed(const struct attachment *a)
{
	return a->published || a->by_record || a->in_patch || a->perhaps || a->state == ATTACHMENT_MEMBER ||
	       a->state == ATTACHMENT_PUBLISHED;
}
static inline bool attachment_is_over(const struct attachment *a)
{
	return a->state == ATTACHMENT_LEAVING || a->state == ATTACHMENT_RESTING;
}
static inline struct attachment *seat_attachment(struct seat *seat)
{
	return container_of(seat - seat->number, struct attachment, seats);
}
void engine_seat_missing(struct engine *e, struct seat *seat, bool missing);

/* engine_decide.c: which GUID, which PKeys, or why not */
void engine_decide(struct engine *e, struct attachment *a);
void engine_claim_record(struct engine *e, struct attachment *a);
void engine_adopt(struct engine *e, struct attachment *a);
void engine_network_changed(struct engine *e, struct attachment *a);
void engine_space_changed(struct engine *e, struct attachment *a);
void engine_decide_work(struct engine *e, size_t *budget);
void engine_guid_unwait(struct engine *e, struct guid guid); /* one waits less: drops the list when it is empty */

/* engine_queues.c: what waits to be written */
struct partition *engine_partition(struct engine *e, struct pkey pkey);
void engine_queue_enter(struct engine *e, struct queue *queue); /* into the ring, if it may be served */
void engine_queue_quit(struct engine *e, struct queue *queue);
void engine_queue_count(struct engine *e, struct queue *queue, int by);
void engine_queue_push(struct engine *e, struct queue *queue, struct chain *link, enum lane lane);
struct chain *engine_queue_first(const struct queue *queue);     /* NULL: empty */
void engine_queue_served(struct engine *e, struct queue *queue); /* the next turn is somebody else's */
void engine_queue_pause(struct engine *e, struct queue *queue);  /* one failure more */
struct queue *engine_queue_of(const struct seat *seat);
void engine_seat_join(struct engine *e, struct seat *seat);
void engine_seat_leave(struct engine *e, struct seat *seat);
void engine_seat_hurry(struct engine *e, struct seat *seat); /* somebody waits for its pod */
void engine_seat_again(struct engine *e, struct seat *seat); /* its write failed: first in its queue */
void engine_seat_unqueue(struct engine *e, struct seat *seat);
bool engine_seat_held_back(const struct engine *e, const struct seat *seat);
void engine_seat_hold_back(struct engine *e, struct seat *seat);
void engine_stray_remove(struct engine *e, struct stray *stray);
void engine_stray_unqueue(struct engine *e, struct stray *stray);
int64_t engine_backoff(const struct engine *e, unsigned failures, int64_t first, int64_t most, uint64_t salt);

/* engine_writes.c: the write under way */
bool engine_next_write(struct engine *e, struct engine_action *action);

/* engine_lists.c: lists and what they say about seats */
void engine_want_list(struct engine *e, struct partition *partition, int64_t at);
void engine_read_back(struct engine *e, struct partition *partition); /* a write to it was answered */
bool engine_next_list(struct engine *e, struct engine_action *action);
void engine_lists_work(struct engine *e, size_t *budget);
void engine_lists_free(struct engine *e);

/* engine_strays.c: listed without an owner of ours */
struct sighting *engine_sighting(const struct engine *e, struct guid guid);
struct stray *engine_stray_find(const struct engine *e, struct guid guid, const struct partition *partition);
struct stray *engine_stray_add(struct engine *e, struct guid guid, struct partition *partition);
void engine_stray_free(struct engine *e, struct stray *stray);
void engine_stray_listed(struct engine *e, struct list *list, struct pkey pkey, const struct member *member);
void engine_stray_judge(struct engine *e, const struct list *list, struct stray *stray);
void engine_strays_classify(struct engine *e, struct guid guid); /* its holder changed */
void engine_strays_listed_all(struct engine *e);                 /* a complete list was evaluated: the brake */
bool engine_may_remove(const struct engine *e);
bool engine_stray_wants_removal(const struct engine *e, const struct stray *stray);
bool engine_stray_is_removable(const struct engine *e, const struct stray *stray); /* by name */
bool engine_stray_is_to_go(const struct engine *e, const struct stray *stray);
enum stray_class engine_stray_class(const struct engine *e, const struct stray *stray);
void engine_strays_confirmed(struct engine *e);
void engine_strays_free(struct engine *e);

/* engine_records.c: what is signed */
/* Notes which record stands in the annotation.  Returns it when it is valid and was not known; the caller frees it. */
struct record *engine_record_seen(struct engine *e, struct engine_pod *p, const struct pod *pod);
bool engine_stands_as_recorded(struct engine *e, struct engine_pod *p); /* annotation and claims agree */
bool engine_record_is_right(struct engine *e, const struct engine_pod *p, uint64_t *content); /* nothing to write */
void engine_make_record(struct engine *e, struct engine_pod *p); /* into engine.record, for the patch to come */

/* engine_publish.c: annotations */
bool engine_is_included(const struct engine *e, const struct attachment *a); /* the annotation is to name it */
void engine_publish_work(struct engine *e, size_t *budget);
void engine_pod_unwritten(struct engine *e, struct engine_pod *p, bool unwritten); /* its annotation is to be written */
bool engine_next_patch(struct engine *e, struct engine_action *action);

/* engine_await.c: pods that somebody waits for */
void engine_pod_tell_now(struct engine *e, const struct engine_pod *p);
/* Something that can be seen of it has changed. */
static inline void engine_pod_tell(struct engine *e, const struct engine_pod *p)
{
	if (p->awaited)
		engine_pod_tell_now(e, p);
}
void engine_tell_all(struct engine *e);
void engine_await_known(struct engine *e, struct engine_pod *p);
void engine_await_gone(struct engine *e, struct engine_pod *p);
void engine_await_network(struct engine *e, struct net *net); /* its definition has changed */
void engine_await_work(struct engine *e, size_t *budget);
bool engine_next_changed(struct engine *e, struct engine_action *action);
void engine_await_free(struct engine *e);

/* engine_events.c: Events that wait to be handed out */
void engine_say(struct engine *e, const struct engine_pod *p, bool warning, const char *reason, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void engine_say_network(struct engine *e, const struct net *net, const char *reason, const char *text); /* a warning */
bool engine_next_event(struct engine *e, struct engine_action *action);
void engine_events_handed(struct engine *e);
void engine_events_free(struct engine *e);

/* engine_told.c: what owners of pods are told, and when */
void engine_tell_news(struct engine *e, struct attachment *a, enum news news);
void engine_tell_member(struct engine *e, struct attachment *a);
void engine_tell_problem(struct engine *e, struct engine_pod *p);  /* of its annotation */
void engine_tell_refusal(struct engine *e, struct engine_pod *p);  /* of its patch */
void engine_tell_unlisted(struct engine *e, struct engine_pod *p); /* its attachments are known now */
void engine_tell_later(struct engine *e, struct engine_pod *p);    /* unless something comes of it soon */
void engine_tell_work(struct engine *e, size_t *budget);
void engine_tell_trouble(char **kept, const struct error *err); /* NULL: over */

/* engine_work.c: what is done in slices, and what is handed out */
void engine_touch(struct engine *e, int64_t now); /* a fact came in */

/* Costly steps weigh more than one in a slice. */
static inline void engine_spend(size_t *budget, size_t cost)
{
	*budget -= *budget < cost ? *budget : cost;
}

/* engine.c: looking at it from outside */
void engine_view_of(const struct engine *e, struct attachment_view *view, const struct attachment *a);

/* engine_start.c: what a new leader does, in order */
/* The first complete list has said whether this cluster is new. */
void engine_end_doubt(struct engine *e, bool is_new);
void engine_start_work(struct engine *e, size_t *budget);
