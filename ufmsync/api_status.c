#include "ufmsync/api_private.h"

/* How the service is, and the pool. */

static json_t *leader_of(const struct api *api)
{
	json_t *leader = json_object();
	bool held = false;
	const char *identity = api->world.leader(api->world.aux, &held);

	api_put(leader, "identity", api_text(identity && *identity ? identity : NULL));
	api_put_bool(leader, "held", held);
	api_put_bool(leader, "here", api_leads(api));
	return leader;
}

static json_t *backend_of(const struct api *api)
{
	const struct pkey_backend *backend = api->world.backend(api->world.aux);
	int64_t wall_ms = 0;
	const char *message = api->world.last_error(api->world.aux, &wall_ms);
	json_t *item = json_object(), *error = json_null();

	if (message) {
		error = json_object();
		api_put(error, "message", api_text(message));
		api_put(error, "at", api_wall(wall_ms));
	}
	api_put(item, "name", api_text(backend ? backend->class->name : NULL));
	api_put(item, "error", error);
	return item;
}

static json_t *attachments_of(const struct engine_status *status)
{
	json_t *item = json_object();

	for (int i = 0; i < ATTACHMENT_STATES; i++)
		api_put_count(item, attachment_state_name((enum attachment_state)i), status->attachments[i]);
	return item;
}

static json_t *actions_of(const struct engine_status *status)
{
	json_t *item = json_object();

	api_put_count(item, "joins", status->joins);
	api_put_count(item, "leaves", status->leaves);
	api_put_count(item, "lists", status->lists);
	api_put_count(item, "patches", status->patches);
	return item;
}

struct api_call *api_status(struct api_question *question)
{
	static const char *const brakes[] = {
		[ENGINE_BRAKE_OFF] = "off",
		[ENGINE_BRAKE_UNSETTLED] = "unsettled",
		[ENGINE_BRAKE_LATCHED] = "latched",
	};
	const struct api *api = question->api;
	struct engine_status status;
	json_t *answer = json_object();

	engine_status(api_engine(api), &status);
	api_put(answer, "version", api_text(UFMSYNC_VERSION));
	api_put(answer, "leader", leader_of(api));
	api_put(answer, "backend", backend_of(api));
	api_put_bool(answer, "synced", status.synced);
	api_put_bool(answer, "listed", status.listed);
	api_put_bool(answer, "settled", status.settled);
	api_put(answer, "brake", json_string_nocheck(brakes[status.brake]));
	api_put(answer, "lastAudit", api_time_or_null(status.last_audit));
	api_put_count(answer, "queued", status.queued);
	api_put(answer, "attachments", attachments_of(&status));
	api_put_count(answer, "blocked", status.blocked);
	api_put_count(answer, "pods", status.pods);
	api_put_count(answer, "networks", status.networks);
	api_put_count(answer, "ungated", status.ungated);
	api_put_count(answer, "orphans", status.orphans);
	api_put_count(answer, "foreign", status.foreign);
	api_put_count(answer, "missing", status.missing);
	api_put(answer, "actions", actions_of(&status));
	return api_answer(question, 200, answer);
}

struct api_call *api_pool(struct api_question *question)
{
	struct engine_status status;
	struct guid first, last;

	if (!api_may(question, true))
		return NULL;
	engine_status(api_engine(question->api), &status);
	engine_range(api_engine(question->api), &first, &last);
	uint64_t taken = status.pool.held + status.pool.resting + status.pool.blocked;
	json_t *answer = json_object();
	api_put_bool(answer, "authoritative", true);
	api_put(answer, "first", api_guid(first));
	api_put(answer, "last", api_guid(last));
	api_put_count(answer, "size", status.pool.size);
	api_put_count(answer, "held", status.pool.held);
	api_put_count(answer, "resting", status.pool.resting);
	api_put_count(answer, "blocked", status.pool.blocked);
	api_put_count(answer, "free", status.pool.size > taken ? status.pool.size - taken : 0);
	return api_answer(question, 200, answer);
}

struct api_call *api_audit(struct api_question *question)
{
	struct engine_status status;

	if (!api_no_body(question) || !api_may(question, true))
		return NULL;
	engine_status(api_engine(question->api), &status);
	engine_audit(api_engine(question->api), loop_now_ms());
	json_t *answer = json_object();
	api_put(answer, "lastAudit", api_time_or_null(status.last_audit));
	return api_answer(question, 202, answer);
}
