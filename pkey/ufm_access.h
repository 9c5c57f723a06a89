#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/net/http.h"
#include "pkey/ufm.h"

/* Where UFM is and how we show who we are. */
struct ufm_access;

/* Checks the options; no credentials yet. */
int ufm_access_new(struct ufm_access **ret, const struct ufm_options *options, struct error *err);
void ufm_access_free(struct ufm_access *access); /* wipes; NULL is fine */
/* Takes the credentials, and gives `http` its TLS identity.  On failure both are as before. */
int ufm_access_take(struct ufm_access *access, struct http *http, const struct secrets *secrets, struct error *err);

/* "https://ufm.example:443/ufmRest": what a call's path is put behind; borrowed. */
const char *ufm_access_url(const struct ufm_access *access);
const char *ufm_access_prefix(const struct ufm_access *access);        /* the "/ufmRest" of it */
const char *ufm_access_authorization(const struct ufm_access *access); /* a whole header; NULL: none.  Secret */
/* Whether the text repeats what we showed: some proxies' error pages do. */
bool ufm_access_is_in(const struct ufm_access *access, const char *text);
