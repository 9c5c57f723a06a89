#include "tests/mock/ufm_hosts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_LID = 2 };

void ufm_hosts_init(struct ufm_hosts *hosts)
{
	static const struct ufm_host first[] = {
		{ "node1", "192.0.2.1", 0xb8cef60300aa0001, { 0xb8cef60300aa0001 }, 1 },
		{ "node2", "192.0.2.2", 0xb8cef60300aa0002, { 0xb8cef60300aa0002 }, 1 },
	};

	*hosts = (struct ufm_hosts){ 0 };
	ufm_hosts_replace(hosts, first, array_length(first));
}

void ufm_hosts_free(struct ufm_hosts *hosts)
{
	free(hosts->hosts);
	free(hosts->vports);
	ufm_map_free(&hosts->known);
	*hosts = (struct ufm_hosts){ 0 };
}

void ufm_hosts_replace(struct ufm_hosts *hosts, const struct ufm_host *list, size_t n)
{
	ufm_hosts_free(hosts);
	hosts->hosts = mem_array(n ? n : 1, sizeof(*hosts->hosts));
	hosts->n_hosts = n;
	if (n > 0)
		memcpy(hosts->hosts, list, n * sizeof(*list));
	for (size_t i = 0; i < n; i++)
		for (unsigned port = 0; port < list[i].n_ports; port++)
			ufm_map_put(&hosts->known, list[i].ports[port], 0);
}

const struct ufm_host *ufm_hosts_find(const struct ufm_hosts *hosts, const char *name, size_t len)
{
	for (size_t i = 0; i < hosts->n_hosts; i++)
		if (strlen(hosts->hosts[i].name) == len && memcmp(hosts->hosts[i].name, name, len) == 0)
			return &hosts->hosts[i];
	return NULL;
}

bool ufm_hosts_know(const struct ufm_hosts *hosts, uint64_t guid)
{
	uint32_t ignored;

	return ufm_map_get(&hosts->known, guid, &ignored);
}

bool ufm_hosts_has_vport(const struct ufm_hosts *hosts, uint64_t guid)
{
	uint32_t place;

	return ufm_map_get(&hosts->known, guid, &place) && place > 0;
}

void ufm_hosts_vport_up(struct ufm_hosts *hosts, const struct ufm_vport *vport)
{
	uint32_t place = 0;

	assert(vport->host < hosts->n_hosts && vport->port < hosts->hosts[vport->host].n_ports);
	if (ufm_map_get(&hosts->known, vport->guid, &place) && place > 0) {
		hosts->vports[place - 1] = *vport;
		return;
	}
	if (hosts->n_vports == hosts->vports_cap) {
		hosts->vports_cap = hosts->vports_cap ? hosts->vports_cap * 2 : 16;
		hosts->vports = mem_resize(hosts->vports, hosts->vports_cap, sizeof(*hosts->vports));
	}
	hosts->vports[hosts->n_vports++] = *vport;
	ufm_map_put(&hosts->known, vport->guid, (uint32_t)hosts->n_vports);
}

bool ufm_hosts_vport_down(struct ufm_hosts *hosts, uint64_t guid)
{
	uint32_t place;

	if (!ufm_map_get(&hosts->known, guid, &place) || place == 0)
		return false;
	ufm_map_remove(&hosts->known, guid);
	if (place != hosts->n_vports--) {
		hosts->vports[place - 1] = hosts->vports[hosts->n_vports];
		ufm_map_put(&hosts->known, hosts->vports[place - 1].guid, place);
	}
	return true;
}

/* `system` is a GUID as text or a name. */
static bool host_matches(const struct ufm_host *host, const char *system)
{
	char guid[17];

	snprintf(guid, sizeof(guid), "%016" PRIx64, host->guid);
	return !system || strcasecmp(system, guid) == 0 || strcmp(system, host->name) == 0;
}

void ufm_hosts_print_systems(const struct ufm_hosts *hosts, struct buf *json)
{
	buf_text(json, "[");
	for (size_t i = 0; i < hosts->n_hosts; i++) {
		const struct ufm_host *host = &hosts->hosts[i];
		buf_printf(json, "%s{\"system_name\": ", i ? ", " : "");
		buf_json_string(json, host->name);
		buf_printf(json,
			   ", \"system_guid\": \"%016" PRIx64 "\", \"guid\": \"%016" PRIx64
			   "\", \"name\": \"%016" PRIx64
			   "\", \"ip\": \"%s\", \"type\": \"host\", \"severity\": \"Info\"}",
			   host->guid, host->guid, host->guid, host->ip);
	}
	buf_text(json, "]");
}

void ufm_hosts_print_ports(const struct ufm_hosts *hosts, const char *system, struct buf *json)
{
	unsigned lid = FIRST_LID;
	bool any = false;

	buf_text(json, "[");
	for (size_t i = 0; i < hosts->n_hosts; i++) {
		const struct ufm_host *host = &hosts->hosts[i];
		for (unsigned port = 0; port < host->n_ports; port++, lid++) {
			if (!host_matches(host, system))
				continue;
			buf_printf(json,
				   "%s{\"guid\": \"%016" PRIx64 "\", \"name\": \"%016" PRIx64
				   "_1\", \"systemID\": \"%016" PRIx64
				   "\", \"system_name\": \"%s\", \"lid\": %u, \"dname\": \"HCA-%u/1\", \"number\": 1, "
				   "\"physical_state\": \"Link Up\", \"logical_state\": \"Active\", "
				   "\"node_description\": \"%s mlx5_%u\"}",
				   any ? ", " : "", host->ports[port], host->ports[port], host->guid, host->name, lid,
				   port + 1, host->name, port);
			any = true;
		}
	}
	buf_text(json, "]");
}

bool ufm_hosts_print_vports(const struct ufm_hosts *hosts, const char *system, const char *port, int64_t seen_before_ms,
			    struct buf *json)
{
	bool any = false;

	for (size_t i = 0; i < hosts->n_vports; i++) {
		const struct ufm_vport *vport = &hosts->vports[i];
		const struct ufm_host *host = &hosts->hosts[vport->host];
		uint64_t physical = host->ports[vport->port];
		char port_name[24];
		snprintf(port_name, sizeof(port_name), "%016" PRIx64 "_1", physical);
		if (vport->up_ms > seen_before_ms || !host_matches(host, system) ||
		    (port && strcmp(port, port_name) != 0))
			continue;
		buf_printf(json,
			   "%s{\"virtual_port_guid\": \"%016" PRIx64 "\", \"virtual_port_state\": \"%s\", "
			   "\"virtual_port_lid\": %u, \"port_guid\": \"%016" PRIx64 "\", \"port_name\": \"%s\", "
			   "\"physical_port_number\": 1, \"system_guid\": \"%016" PRIx64 "\", \"system_name\": \"%s\", "
			   "\"system_ip\": \"%s\", \"node_description\": \"%s mlx5_%u\"}",
			   any ? ", " : "", vport->guid, vport->active ? "Active" : "Down", vport->lid, physical,
			   port_name, host->guid, host->name, host->ip, host->name, vport->port);
		any = true;
	}
	return any;
}
