#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/error.h"
#include "tests/mock/ufm_hosts.h"

/* What the control endpoint says about machines and virtual ports.  Pure. */

/* {"systems": [{"name": "node1", "ip": "192.0.2.1", "guid": G, "ports": [G, ...]}]}: replaces all. */
int ufm_control_systems(struct ufm_hosts *hosts, const json_t *body, struct error *err);
/* {"guid": G | "guids": [...] | "first": G, "count": N, "node": "node1", "port": 0, "state": "Active"|"Down", "lid": N} */
int ufm_control_vports_up(struct ufm_hosts *hosts, const json_t *body, int64_t now_ms, struct error *err);
int ufm_control_vports_down(struct ufm_hosts *hosts, const json_t *body, struct error *err);
