#include "ufmsync/kube/event_wire.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { ABOUT_IN_NAME_MAX = 220 }; /* of 253 bytes that a name may have */

static json_t *micro_time(int64_t wall_ms)
{
	char text[28];

	json_micro_time(text, wall_ms);
	return json_string(text);
}

static char *dump_and_drop(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	return text;
}

/* A uid that is not known is left out. */
static json_t *regarding(const struct event_wire *event)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s*}", "apiVersion", event->network ? "k8s.cni.cncf.io/v1" : "v1", "kind",
			 event->network ? "NetworkAttachmentDefinition" : "Pod", "namespace", event->namespace, "name",
			 event->about, "uid", event->uid[0] ? event->uid : NULL);
}

/* NULL, which leaves it out, until there are two. */
static json_t *series(const struct event_wire *event)
{
	if (event->count < 2)
		return NULL;
	return json_pack("{s:I,s:o}", "count", (json_int_t)event->count, "lastObservedTime",
			 micro_time(event->last_wall_ms));
}

char *event_wire_creation(const struct event_wire *event)
{
	return dump_and_drop(json_pack(
		"{s:s,s:s,s:{s:s,s:s},s:o,s:s,s:s,s:s,s:s,s:o,s:s,s:s,s:o*}", "apiVersion", "events.k8s.io/v1", "kind",
		"Event", "metadata", "name", event->name, "namespace", event->namespace, "eventTime",
		micro_time(event->first_wall_ms), "reportingController", event->controller, "reportingInstance",
		event->instance, "action", event->action, "reason", event->reason, "regarding", regarding(event),
		"note", event->note, "type", event->warning ? "Warning" : "Normal", "series", series(event)));
}

char *event_wire_repetition(const struct event_wire *event)
{
	return dump_and_drop(json_pack("{s:o}", "series", series(event)));
}

char *event_wire_name(const char *about, uint64_t unique)
{
	size_t len = strnlen(about, ABOUT_IN_NAME_MAX);

	while (len > 0 && strchr("-.", about[len - 1])) /* not at the seam */
		len--;
	return mem_printf("%.*s.%016" PRIx64, (int)len, about, unique);
}

/* C1 controls, which some terminals obey, line separators, and what turns the direction of text around. */
static bool is_trick(const char *at, size_t len)
{
	const unsigned char *p = (const unsigned char *)at;

	if (len == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (len != 3 || p[0] != 0xe2)
		return false;
	return (p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

static void blank_tricks(char *text)
{
	size_t n = strlen(text), span;

	for (char *p = text; n > 0; p += span, n -= span) {
		span = utf8_span(p, n);
		if (is_trick(p, span))
			memset(p, ' ', span);
	}
}

char *event_wire_note(const char *text)
{
	char *note = mem_dup(text);

	utf8_one_line(note);
	blank_tricks(note);
	size_t len = strlen(note);
	if (len <= EVENT_NOTE_MAX)
		return note;
	len = EVENT_NOTE_MAX;
	while ((note[len] & 0xc0) == 0x80) /* a whole character is cut off */
		len--;
	note[len] = '\0';
	return note;
}

char *event_wire_instance(const char *identity)
{
	size_t len = strlen(identity), skip = len > EVENT_TEXT_MAX ? len - EVENT_TEXT_MAX : 0;
	char *instance;

	while ((identity[skip] & 0xc0) == 0x80)
		skip++;
	instance = mem_dup(identity + skip);
	utf8_one_line(instance);
	return instance;
}
