#include "tests/mock/ufm_answer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

void ufm_answer_member(const struct ufm_member *member, struct buf *json)
{
	static const char digits[] = "0123456789abcdef";
	static const char *const tails[2][2] = {
		{ "\", \"membership\": \"full\", \"index0\": false}",
		  "\", \"membership\": \"full\", \"index0\": true}" },
		{ "\", \"membership\": \"limited\", \"index0\": false}",
		  "\", \"membership\": \"limited\", \"index0\": true}" },
	};
	char head[] = "{\"guid\": \"0123456789abcdef";
	char *out = head + sizeof(head) - 1;

	for (uint64_t rest = member->guid, i = 0; i < 16; i++, rest >>= 4)
		*--out = digits[rest & 15];
	buf_append(json, head, sizeof(head) - 1);
	buf_text(json, tails[member->limited][member->index0]);
}

static void print_guids(const struct ufm_partition *partition, struct buf *json)
{
	buf_text(json, ", \"guids\": [");
	for (size_t i = 0; i < partition->n_members; i++) {
		if (i > 0)
			buf_append(json, ", ", 2);
		ufm_answer_member(&partition->members[i], json);
	}
	buf_text(json, "]");
}

static void print_qos(const struct ufm_qos *qos, struct buf *json)
{
	buf_printf(json, ", \"qos_conf\": {\"mtu_limit\": %u, \"rate_limit\": %u", qos->mtu_limit,
		   qos->rate_tenths / 10);
	if (qos->rate_tenths % 10)
		buf_printf(json, ".%u", qos->rate_tenths % 10);
	buf_printf(json, ", \"service_level\": %u}", qos->service_level);
}

struct parts {
	bool guids, qos, in_list;
};

static void print_partition(const struct ufm_api *api, const struct ufm_partition *partition, struct parts parts,
			    struct buf *json)
{
	int membership = api->switches.management_membership;

	buf_text(json, "{\"partition\": ");
	buf_json_string(json, partition->name);
	buf_printf(json, ", \"ip_over_ib\": %s", partition->ip_over_ib ? "true" : "false");
	if (partition->pkey == UFM_PKEY_MANAGEMENT && parts.guids) {
		/* Every port is a member of this one, and none is listed. */
		if (parts.in_list)
			buf_text(json, ", \"index0\": false");
		if (membership != UFM_MANAGEMENT_ABSENT)
			buf_printf(json, ", \"membership\": \"%s\"",
				   membership == UFM_MANAGEMENT_LIMITED ? "limited" : "full");
	}
	if (parts.guids)
		print_guids(partition, json);
	if (parts.qos)
		print_qos(&partition->qos, json);
	buf_text(json, "}");
}

void ufm_answer_one(const struct ufm_api *api, const struct ufm_partition *partition, const struct ufm_call *call,
		    struct buf *json)
{
	print_partition(api, partition, (struct parts){ call->guids_data, call->qos_conf, false }, json);
}

void ufm_answer_list(const struct ufm_api *api, const struct ufm_call *call, struct buf *json)
{
	bool keyed = call->guids_data || call->qos_conf || call->other_flag;
	bool both = call->guids_data && call->qos_conf;
	struct parts parts = { call->guids_data, call->qos_conf, true };
	const struct ufm_partition *partition = NULL;
	unsigned pkey = 0;

	if (both && api->switches.list_both_flags == UFM_BOTH_GUIDS_MISSING)
		parts.guids = false;
	if (both && api->switches.list_both_flags == UFM_BOTH_QOS_MISSING)
		parts.qos = false;
	buf_text(json, keyed ? "{" : "[");
	while ((partition = ufm_model_next(api->model, UFM_VIEW_MODEL, pkey))) {
		buf_printf(json, "%s\"0x%x\"", pkey ? ", " : "", partition->pkey);
		if (keyed) {
			buf_text(json, ": ");
			print_partition(api, partition, parts, json);
		}
		pkey = partition->pkey;
	}
	buf_text(json, keyed ? "}" : "]");
}

void ufm_answer_last_updated(const struct ufm_api *api, struct buf *json)
{
	time_t seconds = (time_t)(api->changed_wall_ms / 1000);
	char text[64];
	struct tm tm;

	if (api->changed_wall_ms == 0 || api->switches.last_updated_format == UFM_DATE_NULL) {
		buf_text(json, "{\"last_updated\": null}");
		return;
	}
	if (api->switches.last_updated_format == UFM_DATE_DMY) {
		seconds += (time_t)api->switches.last_updated_zone_min * 60;
		strftime(text, sizeof(text), "%d-%m-%Y, %H:%M:%S", gmtime_r(&seconds, &tm));
	} else {
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S UTC %Y", gmtime_r(&seconds, &tm));
	}
	buf_printf(json, "{\"last_updated\": \"%s\"}", text);
}

void ufm_answer_version(const struct ufm_api *api, struct buf *json)
{
	buf_text(json, "{\"ufm_release_version\": ");
	buf_json_string(json, api->switches.version);
	if (api->switches.version_body == UFM_VERSION_LONG)
		buf_text(json, ", \"opensm\": \"5.21.12\", \"sharp\": \"3.9.1\", \"ibdiagnet\": \"2.18.2\", "
			       "\"telemetry\": \"1.19.11\", \"mft\": \"4.30.1-113\", \"webui\": \"2.34.9-1\", "
			       "\"plugins\": {}}");
	else
		buf_text(json, "}");
}

bool ufm_answer_smconf(const struct ufm_api *api, const char *parameter, struct buf *json)
{
	const struct {
		const char *name, *value;
	} settings[] = {
		{ "subnet_prefix", "\"0xfe80000000000000\"" },
		{ "m_key", "\"0x00a1b2c3d4e5f607\"" },
		{ "sm_key", "\"0x00b1c2d3e4f50617\"" },
		{ "sa_key", "\"0x00c1d2e3f4051627\"" },
		{ "m_key_per_port", "true" },
		{ "no_partition_enforcement", api->switches.no_partition_enforcement ? "true" : "false" },
	};
	bool any = false;

	buf_text(json, "{");
	for (size_t i = 0; i < array_length(settings); i++) {
		if (parameter && strcmp(parameter, settings[i].name) != 0)
			continue;
		buf_printf(json, "%s\"%s\": %s", any ? ", " : "", settings[i].name, settings[i].value);
		any = true;
	}
	buf_text(json, "}");
	return any;
}

/* GUIDs that UFM knows only from a partition. */
static void print_unknown_members(const struct ufm_api *api, bool any, struct buf *json)
{
	const struct ufm_partition *partition = NULL;
	struct ufm_map said = { 0 };

	while ((partition = ufm_model_next(api->model, UFM_VIEW_MODEL, partition ? partition->pkey : 0))) {
		for (size_t i = 0; i < partition->n_members; i++) {
			uint64_t guid = partition->members[i].guid;
			uint32_t ignored;
			if (ufm_hosts_know(&api->hosts, guid) || ufm_map_get(&said, guid, &ignored))
				continue;
			ufm_map_put(&said, guid, 0);
			buf_printf(json,
				   "%s{\"virtual_port_guid\": \"%016" PRIx64
				   "\", \"virtual_port_state\": \"Unknown\", \"virtual_port_lid\": 65535}",
				   any ? ", " : "", guid);
			any = true;
		}
	}
	ufm_map_free(&said);
}

void ufm_answer_vports(const struct ufm_api *api, const struct ufm_call *call, struct ufm_clock clock, struct buf *json)
{
	buf_text(json, "[");
	if (api->switches.vports) {
		bool any = ufm_hosts_print_vports(&api->hosts, call->filter_system, call->filter_port,
						  clock.now_ms - api->switches.vports_lag_ms, json);
		if (api->switches.vports_unknown_members && !call->filter_system && !call->filter_port)
			print_unknown_members(api, any, json);
	}
	buf_text(json, "]");
}

void ufm_answer_job(const struct ufm_api *api, const char *id, struct buf *json)
{
	char *end;
	unsigned long number = strtoul(id, &end, 10);

	if (*end != '\0' || number == 0 || number > api->jobs) {
		buf_text(json, "[]"); /* sic: not a 404 */
		return;
	}
	buf_printf(
		json,
		"{\"ID\": \"%lu\", \"Status\": \"Completed\", \"Progress\": 100, \"Description\": \"Hosts of a PKey\", "
		"\"Created\": \"\", \"LastUpdated\": \"\", \"Summary\": \"\", \"RelatedObjects\": [], "
		"\"Operation\": \"PKeyHosts\"}",
		number);
}
