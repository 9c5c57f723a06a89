#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The credentials of the fabric manager and the record key: from the files of a mounted Secret (one file a key) and
 * from the environment, the files winning; an empty value is not set.  Loaded anew when the mount changes, and then all
 * of one state of it (folder.h).  Nothing here is ever logged; errors name the setting and where it came from, never
 * its value. */

enum secret_id {
	SECRET_UFM_USERNAME, /* alias UFM_USER; both with different values in one place is an error */
	SECRET_UFM_PASSWORD,
	SECRET_UFM_TOKEN,
	SECRET_UFM_CERTIFICATE, /* PEM, or base64 of PEM: always PEM after loading */
	SECRET_UFM_CLIENT_CERT, /* likewise */
	SECRET_UFM_CLIENT_KEY,  /* likewise */
	SECRET_OPENSM_SM_KEY,   /* the text of a number; config.h reads it */
	SECRET_RECORD_KEY,      /* UFMSYNC_RECORD_KEY: the text; record.h decodes it */
	SECRET_COUNT
};

const char *secret_name(enum secret_id id); /* "UFM_USERNAME" */

struct secrets;

/* Looks a setting up; NULL or "" is "not set". */
typedef const char *secrets_lookup_fn(void *aux, const char *name);

/* `dir` may be NULL (environment only), and so may `lookup` (folder only).  A missing key is no error; what folder_read()
 * refuses is, and so are a certificate or key that is neither PEM nor base64 of PEM, that does not parse or is encrypted
 * (ERROR_INVALID).  One line end behind a value is dropped, as editors and `echo` leave it there. */
int secrets_load(struct secrets **ret, const char *dir, secrets_lookup_fn *lookup, void *aux, struct error *err);
void secrets_free(struct secrets *secrets); /* wipes; NULL is fine */

const char *secrets_get(const struct secrets *secrets, enum secret_id id); /* NULL: not set; until free */
/* "file UFM_PASSWORD", "environment", "". */
const char *secrets_origin(const struct secrets *secrets, enum secret_id id);
/* Settings that are no secrets may stand in the same Secret (UFM_ADDRESS ...): the text of the file `name` in the
 * folder as it was when loaded, NULL when there is none. */
const char *secrets_other(const struct secrets *secrets, const char *name);
/* Names of all files in the folder, the secrets' too, from 0 in no order; NULL behind the last. */
const char *secrets_name_in_folder(const struct secrets *secrets, size_t i);
bool secrets_equal(const struct secrets *a, const struct secrets *b); /* all values, the others too */

/* Whether the folder shows another state than when `secrets` was loaded: the target of `..data` has changed (how a
 * Kubernetes volume is rotated), or, without that link, any file's identity, size or time, or it cannot be read any
 * more.  Cheap: no file is read.  False without a folder. */
bool secrets_stale(const struct secrets *secrets);

/* Whether `pem` holds at least one PEM certificate, and nothing in it fails to parse. */
bool secrets_is_certificate(const char *pem);
/* Whether the first certificate is self-signed.  Such a one in UFM_CERTIFICATE may be the server's own (the published
 * way: `openssl req -x509`, often only a CN), which is then pinned; any other is a CA to verify with. */
bool secrets_is_self_signed(const char *pem);
