#pragma once

#include <stdint.h>

#include "base/net/http.h"
#include "pkey/backend.h"
#include "pkey/ufm_access.h"

/* UFM's virtual ports, read as they arrive; one of them is kept at a time.
 *
 *	[{"virtual_port_guid":"02..","virtual_port_state":"Active","virtual_port_lid":17,"physical_port_number":1,
 *	  "system_name":"node1","node_description":"node1 mlx5_0"}]
 *
 * UFM looks for them once a minute, and not at all unless it was told to: then the list is empty.  What it knows from a PKey
 * alone (state "Unknown", no LID) is no port that it has seen and is left out, as is what has no GUID.  What is not certainly
 * the whole list is an error. */
struct ufm_ports;

/* As list_ports() of pkey/backend.h.  *slot, NULL before, is the question until its `done` is called. */
void ufm_ports_ask(struct ufm_ports **slot, const struct pkey_backend *backend, struct http *http,
		   const struct ufm_access *access, int64_t timeout_ms, const struct pkey_ports_sink *sink);
void ufm_ports_free(struct ufm_ports *ports); /* behind http_free(); NULL is fine */
