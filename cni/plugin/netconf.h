#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cni/plugin/cni_error.h"

/* The network configuration on stdin, and what the delegate gets of it.  Pure; hostile: a tenant may have written it,
 * and this program runs as root on the node.  Nothing in it names a file, a server or a credential that we would use.
 *
 *	{"type":"ufmsync", "delegate":{"type":"ib-sriov","pkey":"0x5", ...}, "verify":true, "verifyTimeout":"20s", ...}
 *	{"type":"ufmsync", "delegate":"ib-sriov", "pkey":"0x5", ...}                            the same, flat
 *
 * What multus puts beside it (cniVersion, name, deviceID, pciBusID, runtimeConfig, args, prevResult ...) is handed on. */

enum { NETCONF_MAX = 1 << 20 }; /* bytes of stdin */

struct netconf {
	json_t *config; /* owned; as read */
	/* Borrowed from it: */
	const char *version; /* "0.3.1" ... "1.1.0" */
	const char *name;
	const char *delegate_type; /* a bare name: no '/', not ours */
	const char *device;        /* deviceID (a PCI address); NULL: absent */
	const char *guid_hint; /* what multus passed on: runtimeConfig.infinibandGUID, else args.cni.guid; NULL: none */
	bool verify;
	int64_t verify_timeout_ms; /* default 20 s, at most 5 min */
};

/* CNI_UNDECODABLE, CNI_INCOMPATIBLE_VERSION, CNI_INVALID_CONFIG; each names the field and what is accepted. */
int netconf_parse(struct netconf *conf, const char *text, size_t len, struct cni_error *err);
void netconf_free(struct netconf *conf);

/* What the service decided for this interface. */
struct netconf_given {
	const char *guid; /* 02:00:... */
	const char *pkey; /* the network's own text; NULL: none */
};
/* The delegate's configuration, compact JSON, to be freed.  With `given` (ADD): GUID, pkey and "configured" are put into
 * args.cni, and the GUID into runtimeConfig.infinibandGUID, all strings; what stood there under these names is replaced.
 * Without (DEL, CHECK, GC): only passed on.  Values of args.cni that are no strings are dropped either way: ib-sriov
 * fails on them. */
char *netconf_for_delegate(const struct netconf *conf, const struct netconf_given *given);
