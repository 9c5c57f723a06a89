#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The PKey value is pure, and it is part of what a network definition says: the one header of pkey/ that this folder
 * includes (tests/layers names it). */
#include "pkey/pkey.h"

/* A NetworkAttachmentDefinition reduced to what matters to us.  Pure. */

enum network_kind {
	NETWORK_OTHER,      /* no ib-sriov in it (or no config at all: it lies on the nodes): none of our business */
	NETWORK_IB,         /* type ib-sriov, or ufmsync around it, flat or in a conflist */
	NETWORK_UNREADABLE, /* the config is no JSON object, or ufmsync around something else than ib-sriov */
};

enum network_pkey {
	NETWORK_PKEY_NONE, /* absent or empty: GUID only */
	NETWORK_PKEY_VALID,
	NETWORK_PKEY_BAD,
};

struct network {
	char *namespace, *name;
	char *uid; /* "" when the object has none */
	enum network_kind kind;
	char *problem; /* NETWORK_UNREADABLE: why */
	enum network_pkey has_pkey;
	struct pkey pkey;  /* NETWORK_PKEY_VALID */
	char *pkey_text;   /* the definition's own text ("0x5", "1000"); bad ones cut at 64 bytes; NULL: none */
	bool runtime_guid; /* capabilities.infinibandGUID of the plugin is true */
	bool gated;        /* the pod cannot start ungated: ibKubernetesEnabled, or the plugin type is ufmsync */
	/* `name` of the CNI config, else (that is what multus puts there) its own name: all that a plugin learns of which
	 * network it runs for. */
	char *config_name;
};

/* NULL when the object has no namespace or name. */
struct network *network_from_json(const json_t *object);
void network_free(struct network *network); /* NULL is fine */

/* A Namespace: which PKeys its annotation allows. */
enum namespace_pkeys { NAMESPACE_PKEYS_ABSENT, NAMESPACE_PKEYS_SET, NAMESPACE_PKEYS_BAD };
struct namespace_rule {
	char *name;
	enum namespace_pkeys has;
	struct pkey_set *allowed; /* with NAMESPACE_PKEYS_SET, else NULL: a bad one allows nothing */
	char *text;               /* the annotation, cut at 256 bytes; NULL when absent */
};
#define NAMESPACE_PKEYS_KEY "ufmsync.io/pkeys"
struct namespace_rule *namespace_rule_from_json(const json_t *object);
void namespace_rule_free(struct namespace_rule *rule);
