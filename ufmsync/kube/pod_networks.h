#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "ufmsync/kube/json_text.h"
#include "ufmsync/kube/pod.h"

/* The two forms of a networks annotation, read as multus reads them (parsePodNetworkAnnotation): a list of JSON
 * objects, or "namespace/name@interface" between commas.  Private to the pod's own files. */

enum {
	POD_ANNOTATION_MAX = 256 * 1024, /* the API server takes no more for all annotations of an object together */
	POD_QUOTE_MAX = 64,              /* bytes of a tenant's text in a message or a summary */
};

#define POD_APP_KEY   "mellanox.infiniband.app"
#define POD_APP_VALUE "configured"

/* multus takes a text with any of these for JSON. */
bool pod_text_is_json(const char *text);

/* Whether Go's encoding/json would take this key for the field `name` (lower case): it ignores case, by Unicode. */
bool pod_field_is(struct json_span key, const char *name);

/* The list of elements of a JSON text.  multus wants a list; for the default network a single object is taken too. */
int pod_text_list(struct json_span *list, enum pod_source source, const char *text, struct error *err);

/* Appends to pod->networks.  ERROR_INVALID names the place ("k8s.v1.cni.cncf.io/networks[2]: ..."); nothing was
 * appended then. */
int pod_networks_parse(struct pod *pod, enum pod_source source, const char *text, struct error *err);
void pod_network_release(struct pod_network *network);
