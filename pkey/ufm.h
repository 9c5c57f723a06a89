#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net/http.h"
#include "base/net/loop.h"
#include "pkey/backend.h"
#include "secrets/secrets.h"

/* The backend for NVIDIA UFM's REST API.  Sends only what pkey/ufm_wire.h builds; keeps one write and two lists under way,
 * further lists wait their turn.
 *
 * The user needs GET, POST and DELETE of /resources/pkeys, GET of /app/ufm_version, and POST of
 * /actions/remove_guids_from_pkey where DELETE is not known or more GUIDs leave than its line holds.  GET of
 * /resources/vports is for list_ports() alone.
 *
 * UFM_CERTIFICATE: a self-signed one is the server's own (then exactly that one is good, whatever its name) or its CA's;
 * any other is a CA's.  Without it the system's CAs count. */

enum ufm_auth { UFM_AUTH_BASIC, UFM_AUTH_TOKEN, UFM_AUTH_MTLS };

struct ufm_options {
	const char *schema;  /* "https" or "http" */
	const char *address; /* host name or address (IPv6 with or without brackets) */
	unsigned port;       /* 0: 443 or 80 */
	const char *prefix;  /* NULL: by auth, /ufmRest, /ufmRestV3 (token) */
	enum ufm_auth auth;
	const char *tls_name; /* NULL: the address */
	bool insecure;        /* UFM_INSECURE_SKIP_VERIFY */
	bool ip_over_ib;
	const char *identity; /* for UFM's access log: which of our processes asked; NULL: not said */
	int64_t timeout_ms;   /* of one write, probe, or one PKey's list; the list of all gets six times as long */
};

/* All of `options` is copied.  ERROR_INVALID: a bad address, or credentials that the auth method needs are missing. */
int ufm_new(struct pkey_backend **ret, struct loop *loop, const struct ufm_options *options,
	    const struct secrets *secrets, struct error *err);
/* New credentials from now on, kept as they were on failure. */
int ufm_set_secrets(struct pkey_backend *backend, const struct secrets *secrets, struct error *err);
/* "6.19.3-1" as of the last probe, or "". */
const char *ufm_version(const struct pkey_backend *backend);
