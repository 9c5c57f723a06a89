#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* What the owners of pods are told, and when.  As few Events as say it: all interfaces of a pod for which the same is
 * to be said at the same time share one.
 *
 *	saying      pods with news, told before the engine rests
 *	unanswered  pods that wait since SLOW_MS at most: if nothing comes of it until then they are told on what they
 *	            wait.  Most are members long before, and one Event a pod is all that it costs
 *	standing    pods that were told and still wait: told again before the API server forgets the Event (an hour) */

enum { SLOW_MS = 5000, AGAIN_MS = 30 * 60 * 1000, ADVICE_MAX = 224 };

/* What the reader of `kubectl describe pod` is to do. */
static const char *advice(const char *reason)
{
	static const struct {
		const char *reason, *advice;
	} all[] = {
		{ "BadAnnotation", "correct this annotation of the pod" },
		{ "BadPKey",
		  "correct pkey in the network definition (a PKey of this cluster, 0x1 to 0x7ffe, or decimal); the "
		  "pod goes on by itself" },
		{ "PKeyNotAllowed",
		  "use a network of the pod's own namespace, or have an administrator allow it: annotation "
		  "ufmsync.io/pkeys of the namespace, UFMSYNC_SHARED_NETWORK_NAMESPACES, UFMSYNC_PKEY_POLICY" },
		{ "GUIDTaken", "wait until it is free, or ask for another or none in the pod's annotation" },
		{ "GUIDOutOfRange",
		  "ask for a GUID of the range (kubectl ufmsync pool), or for none, in the pod's annotation" },
		{ "PoolExhausted",
		  "wait until other pods have gone and their GUIDs have rested, or have an administrator enlarge "
		  "the range (GUID_POOL_RANGE_END)" },
		{ "NetworkNotFound", "create it, or correct the pod's annotation; the pod goes on by itself" },
		{ "NetworkUnreadable", "correct spec.config of the network definition; the pod goes on by itself" },
		{ "FabricUnavailable",
		  "the pod goes on by itself; an administrator looks at the service's log (FABRIC_...) and "
		  "kubectl ufmsync status" },
		{ "FabricRefused",
		  "tried again by itself; an administrator looks at what the fabric manager says of it" },
		{ "RecordRefused",
		  "make room in the pod's annotations (256 KiB together), or find the admission rule that refuses "
		  "them; tried again when the pod changes" },
		{ "Assigned", "nothing needs to be done" },
	};

	for (size_t i = 0; i < array_length(all); i++)
		if (strcmp(all[i].reason, reason) == 0)
			return all[i].advice;
	return NULL;
}

/* --- a note of several parts --- */

struct note {
	char text[1024];
	size_t len, left_out;
};

static bool note_has(const struct note *note, const char *part, size_t len)
{
	for (const char *at = note->text; (at = strstr(at, part)); at++)
		if ((at == note->text || at[-1] == ' ') && (!at[len] || at[len] == ';'))
			return true;
	return false;
}

/* Once, however many interfaces it is said of; those for which there is no room are counted. */
__attribute__((format(printf, 2, 3))) static void note_add(struct note *note, const char *format, ...)
{
	char part[600];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(part, sizeof part, format, args);
	va_end(args);
	if (len <= 0 || note_has(note, part, (size_t)len < sizeof part ? (size_t)len : sizeof part - 1))
		return;
	size_t room = sizeof note->text - ADVICE_MAX - note->len;
	if ((size_t)len + 2 >= room)
		note->left_out++;
	else
		note->len += (size_t)snprintf(note->text + note->len, room, "%s%s", note->len ? "; " : "", part);
}

static void say_note(struct engine *e, const struct engine_pod *p, bool warning, const char *reason,
		     const struct note *note)
{
	const char *what = advice(reason);
	char more[32] = "";

	if (!note->len && !note->left_out)
		return;
	if (note->left_out)
		snprintf(more, sizeof more, "; and %zu more", note->left_out);
	engine_say(e, p, warning, reason, "%s%s%s%s", note->text, more, what ? "; " : "", what ? what : "");
}

static void note_membership(struct note *note, const struct attachment *a)
{
	char guid[GUID_TEXT_MAX], pkey[PKEY_TEXT_MAX];

	note_add(note, "%s/%s: GUID %s%s%s", a->net->text, a->net->name, guid_format(guid, a->guid),
		 a->n_seats ? " in PKey " : ", no PKey",
		 a->n_seats ? pkey_format(pkey, a->seats[0].partition->pkey) : "");
}

/* --- news --- */

static bool may_tell(const struct engine *e)
{
	return e->phase != PHASE_FOLLOW && !e->observing;
}

static void tell_soon(struct engine *e, struct engine_pod *p)
{
	if (may_tell(e) && !chain_linked(&p->in_saying))
		chain_append(&e->saying, &p->in_saying);
}

void engine_tell_news(struct engine *e, struct attachment *a, enum news news)
{
	if (!may_tell(e))
		return;
	a->news |= (uint8_t)news;
	tell_soon(e, a->pod);
}

void engine_tell_member(struct engine *e, struct attachment *a)
{
	a->said_member = true;
	a->published_early = false;
	engine_tell_news(e, a, NEWS_MEMBER);
}

/* One Event for all that wait for the same reason. */
static void say_blocked(struct engine *e, struct engine_pod *p, struct attachment *first)
{
	struct note note = { 0 };

	for (struct chain *at = &first->in_pod; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		if (!(a->news & NEWS_BLOCKED) || strcmp(a->blocked_reason, first->blocked_reason) != 0)
			continue;
		if (a != first)
			a->news &= (uint8_t)~NEWS_BLOCKED;
		note_add(&note, "%s", a->blocked_text);
	}
	first->news &= (uint8_t)~NEWS_BLOCKED;
	say_note(e, p, true, first->blocked_reason, &note);
}

static bool any_leaving(const struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next)
		if (container_of(at, struct attachment, in_pod)->state == ATTACHMENT_LEAVING)
			return true;
	return false;
}

static bool say_memberships(struct engine *e, struct engine_pod *p, enum news news, const char *reason,
			    const char *intro)
{
	struct note note = { 0 };

	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		if (!(a->news & news))
			continue;
		a->news &= (uint8_t)~news;
		if (!note.len && intro)
			note_add(&note, "%s", intro);
		note_membership(&note, a);
	}
	say_note(e, p, false, reason, &note);
	return note.len;
}

static void stand(struct engine *e, struct engine_pod *p)
{
	if (p->gone)
		return;
	chain_remove(&p->in_telling);
	chain_append(&e->standing, &p->in_telling);
	p->standing = true;
	p->tell_at = e->now + AGAIN_MS;
	wake_sooner(&e->wakes, &e->tell_wake, p->tell_at);
}

static void say_text(struct engine *e, const struct engine_pod *p, const char *reason, const char *what,
		     const char *why)
{
	struct note note = { 0 };

	note_add(&note, "%s%s%.400s", what ? what : "", what ? ": " : "", why);
	say_note(e, p, true, reason, &note);
}

/* What concerns the pod as a whole. */
static void say_whole(struct engine *e, const struct engine_pod *p, bool problem, bool refusal)
{
	if (problem)
		say_text(e, p, "BadAnnotation", NULL, p->problem);
	if (refusal)
		say_text(e, p, "RecordRefused", "the API server refuses the pod's annotations", p->refusal);
}

static void say_news(struct engine *e, struct engine_pod *p)
{
	bool blocked = false, problem = p->tell_problem && p->problem, refusal = p->tell_refusal && p->refusal;

	chain_remove(&p->in_saying);
	p->tell_problem = p->tell_refusal = false;
	say_whole(e, p, problem, refusal);
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		if (!(a->news & NEWS_BLOCKED))
			continue;
		say_blocked(e, p, a);
		blocked = true;
	}
	p->said_assigned |= say_memberships(e, p, NEWS_ASSIGNED, "Assigned",
					    "reserved, and waiting for the fabric manager to list it as a member");
	say_memberships(e, p, NEWS_MEMBER, "Member", NULL);
	if (!any_leaving(p)) /* the last one brings us here again */
		say_memberships(e, p, NEWS_RELEASED, "Released",
				"the pod has finished, and its GUID has left its partitions");
	if ((blocked || problem || refusal) && !chain_linked(&p->in_telling))
		stand(e, p);
}

/* --- those who wait --- */

void engine_tell_later(struct engine *e, struct engine_pod *p)
{
	if (!may_tell(e) || p->gone || p->said_assigned || (chain_linked(&p->in_telling) && !p->standing))
		return;
	chain_remove(&p->in_telling);
	chain_append(&e->unanswered, &p->in_telling);
	p->standing = false;
	p->tell_at = e->now + SLOW_MS;
	wake_sooner(&e->wakes, &e->tell_wake, p->tell_at);
}

static bool waits(const struct attachment *a)
{
	bool early = a->published_early, there = a->published || a->by_record || a->recorded || a->configured;

	return !attachment_is_over(a) && (early || !there) && a->state < ATTACHMENT_MEMBER;
}

/* Nobody gets a GUID before the first list. */
void engine_tell_unlisted(struct engine *e, struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments && !e->listed; at = at->next) {
		if (!waits(container_of(at, struct attachment, in_pod)))
			continue;
		engine_tell_later(e, p);
		return;
	}
}

static void say_away(struct engine *e, const struct engine_pod *p, const char *what, const char *why)
{
	say_text(e, p, "FabricUnavailable", what, why);
}

void engine_tell_problem(struct engine *e, struct engine_pod *p)
{
	p->tell_problem = true;
	tell_soon(e, p);
}

void engine_tell_refusal(struct engine *e, struct engine_pod *p)
{
	p->tell_refusal = true;
	tell_soon(e, p);
}

/* What it waits for, again where it was told.  False: it waits for nothing, or for nothing that can be told yet. */
static bool tell_wait(struct engine *e, struct engine_pod *p, bool again, bool *waiting)
{
	bool blocked = false, reserved = false;

	*waiting = false;
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		if (!waits(a) && !(a->said_reason && !attachment_is_over(a)))
			continue;
		*waiting = true;
		if (a->said_reason) {
			blocked = true;
			if (again)
				engine_tell_news(e, a, NEWS_BLOCKED);
		} else if (a->has_guid) {
			reserved = true;
			if (!e->write_trouble)
				engine_tell_news(e, a, NEWS_ASSIGNED);
		}
	}
	if (reserved && e->write_trouble)
		say_away(e, p, "the fabric manager cannot be written to", e->write_trouble);
	if (*waiting && !blocked && !reserved && !e->listed && e->list_trouble)
		say_away(e, p, "no GUID is given before the fabric manager's members are read", e->list_trouble);
	else if (!blocked && !reserved)
		return false;
	return true;
}

static void look(struct engine *e, struct engine_pod *p)
{
	bool problem = p->problem, refusal = p->refused && p->refusal;
	bool waiting, again = p->standing, told = tell_wait(e, p, again, &waiting);

	if (again)
		say_whole(e, p, problem, refusal);
	told |= problem || refusal;
	chain_remove(&p->in_telling);
	p->standing = false;
	if (told)
		stand(e, p);
	else if (waiting)
		engine_tell_later(e, p);
}

static struct engine_pod *due(const struct engine *e, const struct chain *pods)
{
	struct engine_pod *p = chain_empty(pods) ? NULL : container_of(pods->next, struct engine_pod, in_telling);

	return p && p->tell_at <= e->now ? p : NULL;
}

static void set_wake(struct engine *e)
{
	struct chain *const heads[] = { &e->unanswered, &e->standing };

	for (size_t i = 0; i < array_length(heads); i++)
		if (!chain_empty(heads[i]))
			wake_sooner(&e->wakes, &e->tell_wake,
				    container_of(heads[i]->next, struct engine_pod, in_telling)->tell_at);
}

/* Else they stay where they are: what is said beyond that is lost, be it of another namespace. */
static bool has_room(const struct engine *e)
{
	return e->n_events < EVENTS_MAX / 2;
}

void engine_tell_work(struct engine *e, size_t *budget)
{
	while (*budget && e->tell_due && has_room(e)) {
		struct engine_pod *p = due(e, &e->unanswered);
		if (!p)
			p = due(e, &e->standing);
		if (!p) {
			e->tell_due = false;
			set_wake(e);
			break;
		}
		engine_spend(budget, POD_COST);
		look(e, p);
	}
	while (*budget && !chain_empty(&e->saying) && has_room(e)) {
		engine_spend(budget, POD_COST);
		say_news(e, container_of(e->saying.next, struct engine_pod, in_saying));
	}
}

/* --- what keeps them waiting --- */

void engine_tell_trouble(char **kept, const struct error *err)
{
	free(*kept);
	*kept = err ? mem_dup(err->text) : NULL;
}
