#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The kinds of objects that mock-kube serves, and how one is named in a path. */

enum mkube_kind {
	MKUBE_PODS,
	MKUBE_NAMESPACES,
	MKUBE_NODES,
	MKUBE_EVENTS,
	MKUBE_NETWORKS, /* network-attachment-definitions, the only custom resource */
	MKUBE_LEASES,
	MKUBE_NEW_EVENTS, /* events.k8s.io; not the same objects as MKUBE_EVENTS here */
	MKUBE_SERVICE_ACCOUNTS,
	MKUBE_SERVICES,
	MKUBE_ENDPOINTS,
	MKUBE_SECRETS,
	MKUBE_CONFIG_MAPS,
	MKUBE_KINDS,
};

enum { MKUBE_FIELDS_MAX = 10, MKUBE_NAME_MAX = 254 };

struct mkube_resource {
	const char *group, *version; /* group "" is the core */
	const char *plural, *kind;
	bool namespaced, custom, has_status;
	bool update_needs_version;            /* PUT without resourceVersion is 422 */
	bool update_creates;                  /* PUT of what does not exist creates it */
	const char *fields[MKUBE_FIELDS_MAX]; /* that a fieldSelector may name, a path each; ends with NULL */
};

extern const struct mkube_resource mkube_resources[MKUBE_KINDS];

/* Where the two fields that all kinds have stand in `fields`. */
enum { MKUBE_FIELD_NAME, MKUBE_FIELD_NAMESPACE };

struct mkube_route {
	enum mkube_kind kind;
	char namespace[MKUBE_NAME_MAX]; /* "": of all namespaces, or the kind has none */
	char name[MKUBE_NAME_MAX];      /* "": the collection */
	char sub[MKUBE_NAME_MAX];       /* "status", "binding", "token", "proxy", or "" */
};

/* "/api/v1/namespaces/a/pods/b/status"; false when no such thing is served. */
bool mkube_route_parse(struct mkube_route *route, const char *path);
/* The path lies in a group and version that is served, whatever it names there. */
bool mkube_group_known(const char *path);
/* "pods", "leases.coordination.k8s.io": as messages name it. */
void mkube_resource_name(char *out, size_t size, const struct mkube_resource *resource);
/* MKUBE_KINDS when there is none; `plural` alone, as the control port takes it. */
enum mkube_kind mkube_kind_find(const char *plural);
