#include "tests/mock/ufm_api.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/mock/ufm_answer.h"

static const char media_json[] = "application/json";

void ufm_reply_init(struct ufm_reply *reply)
{
	*reply = (struct ufm_reply){ .status = 200, .content_type = media_json };
	buf_init(&reply->body, UFM_REPLY_MAX);
}

void ufm_reply_free(struct ufm_reply *reply)
{
	buf_free(&reply->body);
}

void ufm_api_init(struct ufm_api *api)
{
	*api = (struct ufm_api){ .model = ufm_model_new() };
	ufm_hosts_init(&api->hosts);
	ufm_switches_init(&api->switches);
}

void ufm_api_free(struct ufm_api *api)
{
	ufm_model_free(api->model);
	ufm_hosts_free(&api->hosts);
	ufm_accounts_free(&api->accounts);
}

void ufm_api_settle(struct ufm_api *api, struct ufm_clock clock)
{
	if (!api->fabric_broken)
		ufm_model_settle(api->model, clock.now_ms, api->switches.fabric_delay_ms);
}

void ufm_api_parse_error(struct ufm_api *api)
{
	if (!api->switches.parse_error_on_overlap)
		return;
	api->fabric_broken = true;
	api->parse_errors++;
	ufm_model_break_fabric(api->model);
}

static const char *reason_of(int status)
{
	switch (status) {
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 413:
		return "Request Entity Too Large";
	case 414:
		return "Request-URI Too Long";
	case 500:
		return "Internal Server Error";
	case 502:
		return "Proxy Error";
	case 503:
		return "Service Unavailable";
	default:
		return "Error";
	}
}

void ufm_api_html(struct ufm_reply *reply, int status)
{
	reply->status = status;
	reply->content_type = "text/html; charset=iso-8859-1";
	buf_clear(&reply->body);
	buf_printf(&reply->body,
		   "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>%d "
		   "%s</title>\n</head><body>\n"
		   "<h1>%s</h1>\n<p>The server could not answer this request.</p>\n</body></html>\n",
		   status, reason_of(status), reason_of(status));
}

void ufm_api_unauthorized(struct ufm_reply *reply)
{
	reply->status = 401;
	reply->content_type = "text/plain";
	snprintf(reply->header, sizeof(reply->header), "WWW-Authenticate: Basic realm=\"UFM\"");
	buf_clear(&reply->body);
	buf_text(&reply->body, "Unauthorized");
}

static void answer_error(const struct ufm_api *api, struct ufm_reply *reply, int status, const char *text)
{
	reply->status = status;
	buf_clear(&reply->body);
	if (api->switches.error_format == UFM_ERROR_JSON) {
		reply->content_type = media_json;
		buf_text(&reply->body, "{\"error\": ");
		buf_json_string(&reply->body, text);
		buf_text(&reply->body, "}");
	} else {
		reply->content_type = "text/plain";
		buf_text(&reply->body, text);
	}
}

void ufm_api_refuse(const struct ufm_api *api, const struct ufm_call *call, struct ufm_reply *reply)
{
	assert(call->refused);
	if (call->html)
		ufm_api_html(reply, call->refused);
	else if (call->refused == 401)
		ufm_api_unauthorized(reply);
	else
		answer_error(api, reply, call->refused, call->refusal);
}

static void answer_done(const struct ufm_api *api, struct ufm_reply *reply, int status)
{
	reply->status = status;
	reply->content_type = api->switches.post_body[0] == '{' ? media_json : "text/plain";
	buf_text(&reply->body, api->switches.post_body);
}

static void answer_missing(const struct ufm_api *api, unsigned pkey, struct ufm_reply *reply)
{
	char text[64];

	snprintf(text, sizeof(text), "Pkey 0x%x does not exist", pkey);
	answer_error(api, reply, 404, text);
}

/* The settings of a write: what it does not name stays as it is, or is UFM's default. */
static struct ufm_qos merged_qos(const struct ufm_api *api, const struct ufm_call *call)
{
	const struct ufm_partition *partition = ufm_model_get(api->model, UFM_VIEW_MODEL, call->pkey);
	struct ufm_qos qos = partition ? partition->qos : ufm_qos_default;

	if (call->has_mtu)
		qos.mtu_limit = call->qos.mtu_limit;
	if (call->has_level)
		qos.service_level = call->qos.service_level;
	if (call->has_rate)
		qos.rate_tenths = call->qos.rate_tenths;
	return qos;
}

static bool all_known(const struct ufm_api *api, const struct ufm_call *call)
{
	for (size_t i = 0; i < call->n_members; i++)
		if (!ufm_hosts_know(&api->hosts, call->members[i].guid))
			return false;
	return true;
}

static void run_add(struct ufm_api *api, const struct ufm_call *call, bool apply, struct ufm_reply *reply)
{
	struct ufm_qos qos = merged_qos(api, call);
	struct ufm_settings settings = { .name = call->name, .ip_over_ib = &call->ip_over_ib, .qos = &qos };

	if (api->switches.unknown_guid == UFM_UNKNOWN_REJECT && !all_known(api, call)) {
		answer_error(api, reply, 404, "GUID is not known to UFM");
		return;
	}
	if (ufm_model_members(api->model, UFM_VIEW_MODEL) + call->n_members > UFM_MEMBERS_MAX) {
		answer_error(api, reply, 500, "too many members for this mock");
		return;
	}
	if (apply && call->operation == UFM_OP_SET) {
		ufm_model_set(api->model, call->pkey, &settings, call->members, call->n_members);
	} else if (apply) {
		bool ignored = call->by_list && api->switches.memberships_on_post == UFM_IGNORED;
		struct ufm_member *members = mem_array(call->n_members, sizeof(*members));
		memcpy(members, call->members, call->n_members * sizeof(*members));
		for (size_t i = 0; ignored && i < call->n_members; i++)
			members[i].limited = false;
		ufm_model_add(api->model, call->pkey, &settings, members, call->n_members);
		free(members);
	}
	answer_done(api, reply, call->operation == UFM_OP_SET ? 200 : api->switches.post_status);
}

static void run_create(struct ufm_api *api, const struct ufm_call *call, bool apply, struct ufm_reply *reply)
{
	struct ufm_qos qos = merged_qos(api, call);
	struct ufm_settings settings = { .name = call->name, .ip_over_ib = &call->ip_over_ib, .qos = &qos };
	char text[64];

	if (ufm_model_get(api->model, UFM_VIEW_MODEL, call->pkey)) {
		snprintf(text, sizeof(text), "Pkey 0x%x already exists", call->pkey);
		answer_error(api, reply, 400, text);
		return;
	}
	if (apply)
		ufm_model_create(api->model, call->pkey, &settings);
	answer_done(api, reply, 201);
}

static void remove_all(struct ufm_api *api, const struct ufm_call *call)
{
	uint64_t *guids = mem_array(call->n_members, sizeof(*guids));

	for (size_t i = 0; i < call->n_members; i++)
		guids[i] = call->members[i].guid;
	ufm_model_remove(api->model, call->pkey, guids, call->n_members);
	free(guids);
}

/* The operations that need the partition to be there. */
static void run_on_existing(struct ufm_api *api, const struct ufm_call *call, bool apply, struct ufm_reply *reply)
{
	struct ufm_qos qos = merged_qos(api, call);

	if (!ufm_model_get(api->model, UFM_VIEW_MODEL, call->pkey)) {
		if (call->operation == UFM_OP_REMOVE && call->by_action)
			answer_done(api, reply, 200); /* sic: the old form says nothing of it */
		else
			answer_missing(api, call->pkey, reply);
		return;
	}
	if (apply && call->operation == UFM_OP_REMOVE)
		remove_all(api, call);
	else if (apply && call->operation == UFM_OP_DELETE)
		ufm_model_delete(api->model, call->pkey);
	else if (apply && call->operation == UFM_OP_QOS)
		ufm_model_set_qos(api->model, call->pkey, &qos);
	else if (apply && call->operation == UFM_OP_SHARP)
		ufm_model_set_sharp(api->model, call->pkey, strcmp(call->name, "enable") == 0);
	answer_done(api, reply, 200);
}

static void run_hosts(struct ufm_api *api, const struct ufm_call *call, bool apply, struct ufm_reply *reply)
{
	struct ufm_settings settings = { .ip_over_ib = &call->ip_over_ib };
	bool adds = call->operation == UFM_OP_HOSTS_ADD;

	for (int pass = 0; pass < 2; pass++) { /* all hosts are looked up before the first is touched */
		for (const char *at = call->name; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
			const struct ufm_host *host = ufm_hosts_find(&api->hosts, at, strcspn(at, ","));
			if (!host) {
				answer_error(api, reply, 404, "Host name is not known to UFM");
				return;
			}
			for (unsigned port = 0; pass == 1 && apply && port < host->n_ports; port++) {
				struct ufm_member member = adds ? call->members[0] : (struct ufm_member){ 0 };
				member.guid = host->ports[port];
				if (adds)
					ufm_model_add(api->model, call->pkey, &settings, &member, 1);
				else
					ufm_model_remove(api->model, call->pkey, &member.guid, 1);
			}
		}
	}
	if (api->switches.hosts == UFM_HOSTS_JOB) {
		snprintf(reply->header, sizeof(reply->header), "Location: /ufmRest/jobs/%u", ++api->jobs);
		answer_done(api, reply, 202);
	} else {
		answer_done(api, reply, 200);
	}
}

static void run_login(struct ufm_api *api, const struct ufm_call *call, struct ufm_reply *reply)
{
	const char *session = ufm_accounts_login(&api->accounts, call->name, call->password);

	if (!session) {
		ufm_api_unauthorized(reply);
		return;
	}
	snprintf(reply->header, sizeof(reply->header), "Set-Cookie: session=%s; Path=/; HttpOnly", session);
	buf_text(&reply->body, "{}");
}

static void run_tokens(struct ufm_api *api, const struct ufm_call *call, struct ufm_clock clock,
		       struct ufm_reply *reply)
{
	bool any = false;

	if (call->operation == UFM_OP_TOKEN_REVOKE) {
		if (ufm_accounts_revoke(&api->accounts, call->name))
			buf_text(&reply->body, "{}");
		else
			answer_error(api, reply, 404, "Token not found");
		return;
	}
	if (call->operation == UFM_OP_TOKEN_NEW) {
		const struct ufm_token *token = ufm_accounts_new_token(&api->accounts, clock.wall_ms);
		if (token)
			ufm_accounts_print_token(&api->accounts, token, &reply->body);
		else
			answer_error(api, reply, 400, "Too many tokens");
		return;
	}
	buf_text(&reply->body, "[");
	for (size_t i = 0; i < api->accounts.n_tokens; i++) {
		if (api->accounts.tokens[i].revoked)
			continue;
		buf_text(&reply->body, any ? ", " : "");
		ufm_accounts_print_token(&api->accounts, &api->accounts.tokens[i], &reply->body);
		any = true;
	}
	buf_text(&reply->body, "]");
}

static void run_get(const struct ufm_api *api, const struct ufm_call *call, struct ufm_reply *reply)
{
	const struct ufm_partition *partition = ufm_model_get(api->model, UFM_VIEW_MODEL, call->pkey);

	if (partition)
		ufm_answer_one(api, partition, call, &reply->body);
	else if (api->switches.missing_pkey == UFM_MISSING_404)
		answer_missing(api, call->pkey, reply);
	else
		buf_text(&reply->body, "{}");
}

static void run_logs(const struct ufm_api *api, struct ufm_reply *reply)
{
	reply->content_type = "text/plain";
	if (api->parse_errors > 0)
		buf_printf(&reply->body, "PARSE ERROR: partitions.conf (%" PRIu64 " times)\n", api->parse_errors);
	if (!api->fabric_broken)
		buf_text(&reply->body, "SUBNET UP\n");
}

static void run_read(struct ufm_api *api, const struct ufm_call *call, struct ufm_clock clock, struct ufm_reply *reply)
{
	switch (call->operation) {
	case UFM_OP_LOGIN:
		run_login(api, call, reply);
		break;
	case UFM_OP_VERSION:
		ufm_answer_version(api, &reply->body);
		break;
	case UFM_OP_TOKENS:
	case UFM_OP_TOKEN_NEW:
	case UFM_OP_TOKEN_REVOKE:
		run_tokens(api, call, clock, reply);
		break;
	case UFM_OP_SMCONF:
		if (!ufm_answer_smconf(api, call->name, &reply->body))
			answer_error(api, reply, 400, "Unknown parameter");
		break;
	case UFM_OP_CLIENT_AUTH:
		buf_text(&reply->body, "{\"client_cert_authentication\": true}");
		break;
	case UFM_OP_EVENTS:
		buf_text(&reply->body, "[]");
		break;
	case UFM_OP_LOGS:
		run_logs(api, reply);
		break;
	case UFM_OP_JOB:
		ufm_answer_job(api, call->name, &reply->body);
		break;
	case UFM_OP_LIST:
		ufm_answer_list(api, call, &reply->body);
		break;
	case UFM_OP_GET:
		run_get(api, call, reply);
		break;
	case UFM_OP_LAST_UPDATED:
		ufm_answer_last_updated(api, &reply->body);
		break;
	case UFM_OP_VPORTS:
		ufm_answer_vports(api, call, clock, &reply->body);
		break;
	case UFM_OP_PORTS:
		ufm_hosts_print_ports(&api->hosts, call->filter_system, &reply->body);
		break;
	case UFM_OP_SYSTEMS:
		ufm_hosts_print_systems(&api->hosts, &reply->body);
		break;
	default:
		assert(!"a read");
	}
}

static void run_write(struct ufm_api *api, const struct ufm_call *call, bool apply, struct ufm_reply *reply)
{
	switch (call->operation) {
	case UFM_OP_ADD:
	case UFM_OP_SET:
		run_add(api, call, apply, reply);
		break;
	case UFM_OP_CREATE:
		run_create(api, call, apply, reply);
		break;
	case UFM_OP_HOSTS_ADD:
	case UFM_OP_HOSTS_REMOVE:
		run_hosts(api, call, apply, reply);
		break;
	default:
		run_on_existing(api, call, apply, reply);
		break;
	}
}

void ufm_api_run(struct ufm_api *api, const struct ufm_call *call, struct ufm_clock clock, bool apply,
		 struct ufm_reply *reply)
{
	uint64_t before = ufm_model_revision(api->model);

	assert(!call->refused && call->operation != UFM_OP_NONE);
	if (!ufm_operation_writes(call->operation)) {
		run_read(api, call, clock, reply);
		return;
	}
	run_write(api, call, apply, reply);
	if (ufm_model_revision(api->model) != before) {
		api->changed_wall_ms = clock.wall_ms;
		api->fabric_broken = false;
		ufm_api_settle(api, clock);
	}
}
