#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Events that wait to be handed out. */

static void event_free(struct event *event)
{
	if (!event)
		return;
	free(event->namespace);
	free(event->name);
	free(event->uid);
	free(event->text);
	free(event);
}

static struct event *event_new(struct engine *e, const char *reason, const char *text)
{
	struct event *event = mem_alloc(sizeof *event);
	event->reason = reason;
	event->text = mem_dup(text);
	chain_append(&e->events, &event->in_events);
	e->n_events++;
	return event;
}

static bool may_say(const struct engine *e)
{
	return e->n_events < EVENTS_MAX && e->phase != PHASE_FOLLOW && !e->observing;
}

void engine_say(struct engine *e, const struct engine_pod *p, bool warning, const char *reason, const char *format, ...)
{
	if (!may_say(e))
		return;
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	struct event *event = event_new(e, reason, text);
	event->warning = warning;
	event->namespace = mem_dup(p->space->name);
	event->name = mem_dup(p->name);
	event->uid = mem_dup(p->text);
}

void engine_say_network(struct engine *e, const struct net *net, const char *reason, const char *text)
{
	if (!may_say(e))
		return;
	struct event *event = event_new(e, reason, text);
	event->network = event->warning = true;
	event->namespace = mem_dup(net->text);
	event->name = mem_dup(net->name);
	event->uid = mem_dup(net->def->uid);
}

bool engine_next_event(struct engine *e, struct engine_action *action)
{
	if (chain_empty(&e->events))
		return false;
	struct event *event = container_of(e->events.next, struct event, in_events);
	chain_remove(&event->in_events);
	e->n_events--;
	e->said = event;
	action->kind = ENGINE_EVENT;
	action->event.network = event->network;
	action->event.namespace = event->namespace;
	action->event.name = event->name;
	action->event.uid = event->uid;
	action->event.warning = event->warning;
	action->event.reason = event->reason;
	action->event.text = event->text;
	return true;
}

/* The caller is done with the last one. */
void engine_events_handed(struct engine *e)
{
	event_free(e->said);
	e->said = NULL;
}

void engine_events_free(struct engine *e)
{
	engine_events_handed(e);
	free(e->list_trouble);
	free(e->write_trouble);
	while (!chain_empty(&e->events)) {
		struct event *event = container_of(e->events.next, struct event, in_events);
		chain_remove(&event->in_events);
		event_free(event);
	}
}
