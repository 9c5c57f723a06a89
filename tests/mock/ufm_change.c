#include "tests/mock/ufm_change.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/ufm_control_host.h"
#include "tests/mock/ufm_state.h"

static int only_keys(const json_t *body, const char *const *keys, struct error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)body, key, value)
	{
		size_t i = 0;
		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		if (!keys[i])
			return error_set(err, ERROR_INVALID, "the key %.64s is not known here", key);
	}
	return 0;
}

static int add_state(struct ufm_server *server, const json_t *body, struct error *err)
{
	if (ufm_state_load(server->api.model, body, err) < 0)
		return -1;
	ufm_server_touched(server);
	return 0;
}

static int put_state(struct ufm_server *server, const json_t *body, struct error *err)
{
	struct ufm_model *trial = ufm_model_new();
	int result = ufm_state_load(trial, body, err);

	ufm_model_free(trial);
	if (result < 0)
		return -1;
	ufm_model_clear(server->api.model);
	return add_state(server, body, err);
}

static int change_members(struct ufm_server *server, const json_t *body, bool add, struct error *err)
{
	static const char *const keys[] = { "pkey", "guid", "guids", "first", "count", "membership", "index0", NULL };
	struct ufm_model *model = server->api.model;
	const char *text = json_str(body, "pkey", NULL);
	struct ufm_settings none = { 0 };
	struct ufm_guid_list list;
	unsigned pkey = 0;

	if (only_keys(body, keys, err) < 0)
		return -1;
	if (!text || !ufm_pkey_parse(&pkey, text) || pkey == 0 || pkey == UFM_PKEY_MANAGEMENT)
		return error_set(err, ERROR_INVALID, "pkey is a string from 0x1 to 0x7ffe");
	if (ufm_state_read_members(&list, body, err) < 0)
		return -1;
	if (add && ufm_model_members(model, UFM_VIEW_MODEL) + list.n > UFM_MEMBERS_MAX) {
		free(list.members);
		return error_set(err, ERROR_LIMIT, "more than %d members", UFM_MEMBERS_MAX);
	}
	if (add && list.n > 0)
		ufm_model_add(model, pkey, &none, list.members, list.n);
	for (size_t i = 0; !add && i < list.n; i++)
		ufm_model_remove(model, pkey, &list.members[i].guid, 1);
	free(list.members);
	ufm_server_touched(server);
	return 0;
}

static int add_members(struct ufm_server *server, const json_t *body, struct error *err)
{
	return change_members(server, body, true, err);
}

static int remove_members(struct ufm_server *server, const json_t *body, struct error *err)
{
	return change_members(server, body, false, err);
}

static int set_switches(struct ufm_server *server, const json_t *body, struct error *err)
{
	if (ufm_switches_set(&server->api.switches, body, err) < 0)
		return -1;
	ufm_server_touched(server);
	return 0;
}

static int set_latency(struct ufm_server *server, const json_t *body, struct error *err)
{
	static const char *const keys[] = { "write_ms", "read_ms", NULL };

	if (only_keys(body, keys, err) < 0)
		return -1;
	return set_switches(server, body, err);
}

static int set_credentials(struct ufm_server *server, const json_t *body, struct error *err)
{
	static const char *const keys[] = { "username", "password", "token", NULL };

	if (only_keys(body, keys, err) < 0)
		return -1;
	ufm_accounts_change(&server->api.accounts, json_str(body, "username", NULL), json_str(body, "password", NULL),
			    json_str(body, "token", NULL), loop_wall_ms());
	return 0;
}

static int fail_over(struct ufm_server *server, const json_t *body, struct error *err)
{
	static const char *const keys[] = { "down_ms", "answer", NULL };
	const char *how = json_str(body, "answer", NULL);
	int64_t down_ms = json_int(body, 0, "down_ms", NULL);
	int status = !how || strcmp(how, "503") == 0 ? 503 : strcmp(how, "502") == 0 ? 502 : 0;

	if (only_keys(body, keys, err) < 0)
		return -1;
	if (down_ms < 0 || down_ms > 24 * 3600 * 1000)
		return error_set(err, ERROR_INVALID, "down_ms is a number of milliseconds, at most a day");
	if (status == 0 && strcmp(how, "reset") != 0)
		return error_set(err, ERROR_INVALID, "answer is 503, 502 or reset");
	ufm_server_fail_over(server, down_ms, status);
	return 0;
}

static int add_vports(struct ufm_server *server, const json_t *body, struct error *err)
{
	return ufm_control_vports_up(&server->api.hosts, body, loop_now_ms(), err);
}

static int remove_vports(struct ufm_server *server, const json_t *body, struct error *err)
{
	return ufm_control_vports_down(&server->api.hosts, body, err);
}

static int put_systems(struct ufm_server *server, const json_t *body, struct error *err)
{
	return ufm_control_systems(&server->api.hosts, body, err);
}

static int reset(struct ufm_server *server, const json_t *body, struct error *err)
{
	(void)body;
	(void)err;
	ufm_server_reset(server);
	return 0;
}

static const struct ufm_change changes[] = {
	{ "PUT", "/control/state", put_state },
	{ "POST", "/control/state", add_state },
	{ "POST", "/control/members", add_members },
	{ "DELETE", "/control/members", remove_members },
	{ "POST", "/control/switches", set_switches },
	{ "POST", "/control/latency", set_latency },
	{ "POST", "/control/credentials", set_credentials },
	{ "POST", "/control/failover", fail_over },
	{ "POST", "/control/vports", add_vports },
	{ "DELETE", "/control/vports", remove_vports },
	{ "PUT", "/control/systems", put_systems },
	{ "POST", "/control/reset", reset },
};

const struct ufm_change *ufm_change_find(const char *method, const char *path)
{
	for (size_t i = 0; i < array_length(changes); i++)
		if (strcmp(changes[i].path, path) == 0 && strcmp(changes[i].method, method) == 0)
			return &changes[i];
	return NULL;
}
