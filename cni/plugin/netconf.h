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
 * A delegate object without "type" is one of ib-sriov; ufmsync/kube/network.c reads the same definition for the service.
 * The fields beside the delegate object are handed on where the delegate has none of that name.  What runtime and multus
 * put there (cniVersion, name, prevResult, deviceID, pciBusID, GC's attachments) wins over the delegate's own; so does,
 * member by member, what they put into runtimeConfig, args and args.cni. */

enum { NETCONF_MAX = 1 << 20 }; /* bytes of stdin */

struct netconf {
	const char *version; /* "0.3.1" ... "1.1.0"; static; when parsing fails: NULL, or the one that was understood */
	const char *name;    /* of the network; borrowed from `delegate` */
	json_t *delegate;    /* owned: its configuration, as netconf_for_delegate() prints it without `given` */
	const char *delegate_type; /* a bare name: no '/', not ours */
	const char *device;        /* deviceID (a PCI address); NULL: absent */
	const char
		*guid_hint; /* what multus passed on: runtimeConfig.infinibandGUID, else args.cni.guid; NULL: no GUID */
	char *pkey;         /* that it names, a number as text; "" none; owned */
	json_t *verify_said, *verify_timeout_said; /* owned, as written, for netconf_read_verify(); NULL: absent */
	bool verify;
	int64_t verify_timeout_ms;
};

/* CNI_UNDECODABLE, CNI_INCOMPATIBLE_VERSION, CNI_INVALID_CONFIG; each names the field and what is accepted.  To be freed
 * either way. */
int netconf_parse(struct netconf *conf, const char *text, size_t len, struct cni_error *err);
void netconf_free(struct netconf *conf);
/* Only ADD verifies, so nothing else may fail for it: fills in verify (default false) and verify_timeout_ms (default 20 s,
 * at most 5 min).  CNI_INVALID_CONFIG. */
int netconf_read_verify(struct netconf *conf, struct cni_error *err);
/* Is the version at least "1.1.0" or the like? */
bool netconf_version_is(const struct netconf *conf, const char *least);
extern const char *const netconf_versions[]; /* those that are understood, oldest first; ends with NULL */

/* What the service decided for this interface. */
struct netconf_given {
	const char *guid; /* 02:00:... */
	const char *pkey; /* the network's own text; NULL: none */
};
/* The delegate's configuration, compact JSON, to be freed.  With `given` (ADD): GUID, pkey and "configured" are put into
 * args.cni, and the GUID into runtimeConfig.infinibandGUID, all strings; what stood there under these names is replaced.
 * Without (DEL, CHECK, GC): only passed on.
 *
 * Dropped either way, as delegates are written in Go: args, args.cni and runtimeConfig that are no objects, and values of
 * args.cni that are no strings (ib-sriov fails on them); keys that Go takes for one of those named above although they are
 * spelled otherwise ("RuntimeConfig"), as the last one would win there, and that could be the tenant's. */
char *netconf_for_delegate(const struct netconf *conf, const struct netconf_given *given);
/* To undo an ADD: as without `given`, and the ADD's result is the prevResult (from 0.4.0 on, when it is an object;
 * with the config's cniVersion if it names none). */
char *netconf_for_undo(const struct netconf *conf, const char *result, size_t len);
