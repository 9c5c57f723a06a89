#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

/* The four objects that the setup is about, as the API server has them.  Names and keys are what ufmsyncd, the node
 * installer and deploy/ know them by. */

enum setup_object {
	SETUP_RECORD_KEY, /* Secret ufmsync-record-key: UFMSYNC_RECORD_KEY */
	SETUP_CA_KEY,     /* Secret ufmsync-ca-key: tls.crt, tls.key of our own CA */
	SETUP_TLS,        /* Secret ufmsync-tls: tls.crt, tls.key, ca.crt of the https port */
	SETUP_CA,         /* ConfigMap ufmsync-ca: ca.crt, whom the nodes trust */
	SETUP_OBJECTS
};

struct setup_objects {
	json_t *at[SETUP_OBJECTS]; /* NULL: it does not exist */
};
void setup_objects_clear(struct setup_objects *objects); /* wipes every text in them */

const char *setup_object_name(enum setup_object object); /* "ufmsync-tls" */
const char *setup_object_kind(enum setup_object object); /* "Secret" */
/* "/api/v1/namespaces/NAMESPACE/secrets", of one with its name behind; for free(). */
char *setup_object_path(enum setup_object object, const char *namespace, bool named);

/* The text behind a key; "" when there is none, and for mem_wipe_free().  ERROR_INVALID: no base64, or no text. */
int setup_text(char **out, const struct setup_objects *objects, enum setup_object object, const char *key,
	       struct error *err);

/* A new object, or a copy of the one that is there: everything that others put on it stays.  For yaml_wipe(). */
json_t *setup_object_new(const struct setup_objects *objects, enum setup_object object, const char *namespace);
void setup_set_text(json_t *to, enum setup_object object, const char *key, const char *text);
void setup_set_annotation(json_t *to, const char *key, const char *text);
/* It was made here, or is kept by us since. */
bool setup_is_managed(const struct setup_objects *objects, enum setup_object object);

#define SETUP_KEY_RECORD "UFMSYNC_RECORD_KEY"
#define SETUP_KEY_CERT   "tls.crt"
#define SETUP_KEY_KEY    "tls.key"
#define SETUP_KEY_CA     "ca.crt"
/* On the ConfigMap: since when it has the CA that signs now, RFC 3339. */
#define SETUP_CA_SINCE "ufmsync.io/ca-since"
