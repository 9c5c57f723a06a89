#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/mock/kube_reply.h"
#include "tests/mock/kube_resource.h"
#include "tests/mock/kube_store.h"

/* What a request means: the verbs on the store.  Watches are in kube_watch.h.  Pure: time comes with the request. */
struct mkube_api {
	struct mkube_store *store;
	bool newer; /* answer as 0.36 (Kubernetes 1.36) where it differs from 1.20 */
};

struct mkube_request {
	const char *method;
	struct mkube_route route;
	const char *content_type; /* NULL: none */
	const char *body;
	size_t len;
	const char *(*query)(void *aux, const char *key); /* NULL: absent */
	void *aux;
	int64_t now_ms; /* since 1970 */
};

const char *mkube_query(const struct mkube_request *request, const char *key);
/* "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"; NULL: no such method. */
const char *mkube_verb(const struct mkube_request *request);
/* Answers any request but a watch. */
void mkube_serve(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply);
/* Creates the namespaces that every cluster has. */
void mkube_begin(struct mkube_api *api, int64_t now_ms);

/* The resourceVersion of a query: 0 when absent or "0", with *given telling which.  False: answered 500. */
bool mkube_query_rv(const struct mkube_request *request, uint64_t *rv, bool *given, struct mkube_reply *reply);

/* Parts of mkube_serve(), each in a file of its own. */
void mkube_list(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply);
void mkube_create(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply);
void mkube_update(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply);
void mkube_patch(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply);
void mkube_bind(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply);
void mkube_delete(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply);
void mkube_delete_collection(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply);

/* A namespace that is being deleted goes with the last object in it. */
void mkube_namespace_emptied(struct mkube_api *api, const char *namespace);
