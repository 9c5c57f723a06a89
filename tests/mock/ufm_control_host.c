#include "tests/mock/ufm_control_host.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/ufm_call.h"
#include "tests/mock/ufm_state.h"

enum { FIRST_VPORT_LID = 0x4000, LID_MAX = 0xffff };

/* Names and addresses go into JSON as they are. */
static int read_name(char out[UFM_HOST_NAME_MAX], const char *text, struct error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-";

	if (!text || !text[0] || strlen(text) >= UFM_HOST_NAME_MAX || strspn(text, allowed) != strlen(text))
		return error_set(err, ERROR_INVALID, "name and ip are of letters, digits and .:_-, at most %d",
				 UFM_HOST_NAME_MAX - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int read_guid(uint64_t *guid, const json_t *value, struct error *err)
{
	if (!json_is_string(value) || !ufm_guid_parse(guid, json_string_value(value), json_string_length(value)))
		return error_set(err, ERROR_INVALID, "a GUID is a string of 16 hexadecimal digits");
	return 0;
}

static int read_host(struct ufm_host *host, const json_t *value, struct error *err)
{
	const json_t *ports = json_object_get(value, "ports");
	const char *ip = json_str(value, "ip", NULL);

	if (read_name(host->name, json_str(value, "name", NULL), err) < 0 ||
	    read_name(host->ip, ip ? ip : "192.0.2.1", err) < 0)
		return -1;
	if (!json_is_array(ports) || json_array_size(ports) == 0 || json_array_size(ports) > UFM_HOST_PORTS_MAX)
		return error_set(err, ERROR_INVALID, "ports is a list of 1 to %d GUIDs", UFM_HOST_PORTS_MAX);
	for (size_t i = 0; i < json_array_size(ports); i++)
		if (read_guid(&host->ports[host->n_ports++], json_array_get(ports, i), err) < 0)
			return -1;
	host->guid = host->ports[0];
	return json_object_get(value, "guid") ? read_guid(&host->guid, json_object_get(value, "guid"), err) : 0;
}

int ufm_control_systems(struct ufm_hosts *hosts, const json_t *body, struct error *err)
{
	const json_t *systems = json_object_get(body, "systems");
	size_t n = json_array_size(systems);
	struct ufm_host *list;
	int result = 0;

	if (!json_is_array(systems) || n > UFM_HOSTS_MAX)
		return error_set(err, ERROR_INVALID, "systems is a list of at most %d machines", UFM_HOSTS_MAX);
	list = mem_array(n + 1, sizeof(*list));
	for (size_t i = 0; result == 0 && i < n; i++)
		result = read_host(&list[i], json_array_get(systems, i), err);
	if (result == 0)
		ufm_hosts_replace(hosts, list, n);
	free(list);
	return result;
}

int ufm_control_vports_up(struct ufm_hosts *hosts, const json_t *body, int64_t now_ms, struct error *err)
{
	const char *node = json_str(body, "node", NULL), *state = json_str(body, "state", NULL);
	const struct ufm_host *host = node ? ufm_hosts_find(hosts, node, strlen(node)) : NULL;
	int64_t port = json_int(body, 0, "port", NULL);
	int64_t lid = json_int(body, FIRST_VPORT_LID + (int64_t)(hosts->n_vports % FIRST_VPORT_LID), "lid", NULL);
	struct ufm_guid_list list;

	if (!host || port < 0 || port >= host->n_ports)
		return error_set(err, ERROR_INVALID, "node and port (0, 1 ...) name no port of the fabric");
	if (lid < 0 || lid > LID_MAX)
		return error_set(err, ERROR_INVALID, "lid is a number from 0 to %d", LID_MAX);
	if (ufm_state_read_members(&list, body, err) < 0)
		return -1;
	if (hosts->n_vports + list.n > UFM_VPORTS_MAX) {
		free(list.members);
		return error_set(err, ERROR_LIMIT, "more than %d virtual ports", UFM_VPORTS_MAX);
	}
	for (size_t i = 0; i < list.n; i++) {
		uint64_t guid = list.members[i].guid;
		if (ufm_hosts_know(hosts, guid) && !ufm_hosts_has_vport(hosts, guid))
			continue; /* a physical port's */
		ufm_hosts_vport_up(hosts, &(struct ufm_vport){ .guid = guid,
							       .host = (size_t)(host - hosts->hosts),
							       .port = (unsigned)port,
							       .lid = (unsigned)(lid + (int64_t)i) & LID_MAX,
							       .active = !state || strcmp(state, "Active") == 0,
							       .up_ms = now_ms });
	}
	free(list.members);
	return 0;
}

int ufm_control_vports_down(struct ufm_hosts *hosts, const json_t *body, struct error *err)
{
	struct ufm_guid_list list;

	if (ufm_state_read_members(&list, body, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++)
		ufm_hosts_vport_down(hosts, list.members[i].guid);
	free(list.members);
	return 0;
}
