#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tests/mock/ufm_map.h"

/* The machines of the fabric, as far as UFM's system, port and virtual port lists show them.  Pure.  Two are there
 * from the start, node1 and node2, with one port each. */

enum { UFM_HOSTS_MAX = 10000, UFM_HOST_PORTS_MAX = 16, UFM_VPORTS_MAX = 1000000, UFM_HOST_NAME_MAX = 64 };

struct ufm_host {
	char name[UFM_HOST_NAME_MAX], ip[UFM_HOST_NAME_MAX];
	uint64_t guid;
	uint64_t ports[UFM_HOST_PORTS_MAX];
	unsigned n_ports;
};

struct ufm_vport {
	uint64_t guid;
	size_t host;
	unsigned port; /* index into the host's ports */
	unsigned lid;
	bool active;
	int64_t up_ms; /* when it came up; listed a lag later */
};

struct ufm_hosts {
	struct ufm_host *hosts;
	size_t n_hosts;
	struct ufm_vport *vports;
	size_t n_vports, vports_cap;
	struct ufm_map known; /* every port's and virtual port's GUID; virtual ports: index in vports + 1 */
};

void ufm_hosts_init(struct ufm_hosts *hosts);
void ufm_hosts_free(struct ufm_hosts *hosts);
/* Replaces all; no virtual ports afterwards.  Copies. */
void ufm_hosts_replace(struct ufm_hosts *hosts, const struct ufm_host *list, size_t n);
const struct ufm_host *ufm_hosts_find(const struct ufm_hosts *hosts, const char *name, size_t len);
bool ufm_hosts_know(const struct ufm_hosts *hosts, uint64_t guid);
bool ufm_hosts_has_vport(const struct ufm_hosts *hosts, uint64_t guid);
void ufm_hosts_vport_up(struct ufm_hosts *hosts, const struct ufm_vport *vport); /* replaces one of the same GUID */
bool ufm_hosts_vport_down(struct ufm_hosts *hosts, uint64_t guid);               /* false: was not there */

/* Appends JSON arrays; a NULL filter lets all through. */
void ufm_hosts_print_systems(const struct ufm_hosts *hosts, struct buf *json);
void ufm_hosts_print_ports(const struct ufm_hosts *hosts, const char *system, struct buf *json);
/* Elements without the brackets; true: there was one. */
bool ufm_hosts_print_vports(const struct ufm_hosts *hosts, const char *system, const char *port, int64_t seen_before_ms,
			    struct buf *json);
