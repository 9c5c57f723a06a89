#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Certificates for the https port: our own CA, what it signs, and what is to be known of those that somebody else made.
 * Over OpenSSL.  Time is an argument, seconds since 1970. */

enum {
	CERTIFICATE_BACKDATED_S = 3600, /* clocks differ: what is made is valid from a little earlier on */
	CERTIFICATES_MAX = 64,          /* of one text */
};

struct certificate_life {
	int64_t from_s, until_s;
};

/* --- those of a text --- */

struct certificates;
/* All of a PEM text in their order; an empty text has none.  ERROR_INVALID: one does not parse.  ERROR_LIMIT: too many. */
int certificates_parse(struct certificates **ret, const char *pem, struct error *err);
void certificates_free(struct certificates *certificates); /* NULL is fine */
size_t certificates_count(const struct certificates *certificates);
struct certificate_life certificates_life(const struct certificates *certificates, size_t i);
/* "O = ufmsync, CN = ..." */
void certificates_subject(const struct certificates *certificates, size_t i, char *out, size_t size);

/* It is a CA that was made here for this namespace: by its name, signed by itself. */
bool certificates_is_own_ca(const struct certificates *certificates, size_t i, const char *namespace);
/* Its issuer is named like one. */
bool certificates_is_of_own_ca(const struct certificates *certificates, size_t i, const char *namespace);
/* The very same certificate is among those of `in`. */
bool certificates_is_in(const struct certificates *certificates, size_t i, const struct certificates *in);
/* The first one is signed with the key of the CA's first one, and names it as its issuer. */
bool certificates_is_signed_by(const struct certificates *certificates, const struct certificates *ca);
/* Whoever trusts `cas` and nothing else takes the first one as a server's now, as the CNI plugin does: up to a self-signed
 * CA.  Those behind it help. */
bool certificates_are_trusted(const struct certificates *certificates, const struct certificates *cas, int64_t now_s);
/* The first one is good for a server of this name. */
bool certificates_have_name(const struct certificates *certificates, const char *name);
/* Its DNS names are these, no more and no less. */
bool certificates_have_only(const struct certificates *certificates, const char *const *names, size_t n);
/* The first one may sign for each of these names: its name constraints permit them. */
bool certificates_permit(const struct certificates *certificates, const char *const *names, size_t n);

/* PEM of those for which `keep` is true; for free(). */
char *certificates_text(const struct certificates *certificates, const bool *keep);

/* --- new ones --- */

/* PEM. */
struct certificate_pair {
	char *cert, *key;
};
void certificate_pair_free(struct certificate_pair *pair); /* wipes the key */

/* A CA, EC P-256, that can sign for these DNS names and nothing else, no other CA and no address.  The names are of
 * letters, digits, '-' and '.'; the first is the one that is most asked for. */
int certificate_make_ca(struct certificate_pair *out, const char *namespace, const char *const *names, size_t n,
			struct certificate_life life, struct error *err);
/* A server's certificate with a key of its own, signed by it; ends with the CA's life at the latest. */
int certificate_make_server(struct certificate_pair *out, const struct certificate_pair *ca, const char *const *names,
			    size_t n, struct certificate_life life, struct error *err);
