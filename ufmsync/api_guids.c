#include <stdlib.h>
#include <string.h>

#include "ufmsync/api_private.h"

/* One GUID: who holds it, in which PKeys the fabric manager lists it now, and where it sees its virtual port. */

struct look {
	struct api_finding finding;
	struct api_index *index; /* of a follower */
};

static struct look *look_of(struct api_call *call)
{
	return container_of(call, struct look, finding.call);
}

static json_t *listed_item(const struct look *look, size_t i)
{
	const struct api_finding *finding = &look->finding;
	const struct member *member = &finding->members[i];
	struct attachment_view space;
	const struct attachment_view *holder;
	bool right, certain;
	enum member_kind kind =
		api_judge(finding->call.api, look->index, finding->pkeys[i], member, &space, &holder, &right, &certain);
	json_t *item = json_object();

	api_put(item, "pkey", api_pkey(finding->pkeys[i]));
	api_put(item, "membership", json_string_nocheck(membership_name(member->membership)));
	api_put_bool(item, "index0", member->index0);
	api_put(item, "kind", json_string_nocheck(api_kind_name(kind)));
	api_put(item, "right", certain ? json_boolean(right) : json_null());
	return item;
}

static json_t *owner_of(const struct look *look)
{
	const struct api *api = look->finding.call.api;
	const struct attachment_view *holder = NULL;
	struct attachment_view space;

	if (look->index)
		holder = api_index_find(look->index, look->finding.guid);
	else if (engine_holder(api_engine(api), look->finding.guid, &space))
		holder = &space;
	return holder ? api_attachment(api, holder) : json_null();
}

static json_t *text_or_null(const char *text)
{
	return api_text(text && text[0] ? text : NULL);
}

/* "node1 mlx5_0/1" */
static json_t *place_of(const struct pkey_port *port)
{
	if (!port->device[0] || port->number == 0)
		return text_or_null(port->device);
	char *text = mem_printf("%s/%u", port->device, port->number);
	json_t *value = api_text(text);
	free(text);
	return value;
}

static json_t *port_of(const struct api_finding *finding)
{
	const struct pkey_port *port = &finding->port; /* empty unless seen */
	json_t *item;

	if (finding->port_known == API_PORT_UNTOLD)
		return json_null();
	item = json_object();
	api_put(item, "seen",
		finding->port_known == API_PORT_UNKNOWN ? json_null()
							: json_boolean(finding->port_known == API_PORT_SEEN));
	api_put(item, "state", text_or_null(port->state));
	api_put(item, "lid", port->lid ? json_integer(port->lid) : json_null());
	api_put(item, "node", text_or_null(port->node));
	api_put(item, "port", place_of(port));
	api_put(item, "note", text_or_null(finding->port_note));
	return item;
}

static bool look_step(struct api_call *call)
{
	struct look *look = look_of(call);
	const struct api *api = call->api;
	struct guid first, last, guid = look->finding.guid;

	if (!look->index && api_follows(api))
		look->index = api_index_new(call->api);
	if (look->index && api_index_step(look->index))
		return true;
	engine_range(api_engine(api), &first, &last);
	bool in_range = guid.v >= first.v && guid.v <= last.v;
	json_t *owner = owner_of(look), *listed = json_array();
	for (size_t i = 0; i < look->finding.n; i++)
		json_array_append_new(listed, listed_item(look, i));
	if (json_is_null(owner) && look->finding.n == 0 && !in_range) {
		json_decref(listed);
		api_call_fail(
			call, 404, "NotFound",
			"nobody holds this GUID, the fabric manager does not list it, and it is not of our range");
		return false;
	}
	json_t *answer = json_object();
	api_put_bool(answer, "authoritative", api_leads(api));
	api_put(answer, "guid", api_guid(guid));
	api_put_bool(answer, "inRange", in_range);
	api_put(answer, "owner", owner);
	api_put(answer, "asOf", api_wall(look->finding.wall_ms));
	api_put(answer, "listed", listed);
	api_put(answer, "port", port_of(&look->finding));
	api_call_answer(call, 200, answer);
	return false;
}

static void look_end(struct api_call *call)
{
	struct look *look = look_of(call);

	free(look->finding.pkeys);
	free(look->finding.members);
	free(look->finding.port_note);
	api_index_free(look->index);
}

struct api_call *api_guid_of(struct api_question *question)
{
	struct guid guid;

	if (!guid_parse_any(&guid, question->name) || !guid_usable(guid))
		return api_fail(question, 400, "BadRequest",
				"the path does not end with a GUID (\"02:00:00:00:00:00:00:1a\")");
	if (!api_may(question, false))
		return NULL;
	struct look *look = api_call_new(question, sizeof *look, look_step, look_end);
	look->finding.guid = guid;
	return api_fabric_find(&look->finding) ? &look->finding.call : NULL;
}
