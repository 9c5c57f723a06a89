#pragma once

#include <stdint.h>

#include "base/error.h"

/* A server's certificate and key in two files that somebody replaces while it runs: a mounted Secret, cert-manager,
 * certbot.  Both of one state, or nothing. */
struct tls_files;

struct tls_pair {
	char *cert, *key;    /* PEM */
	int64_t not_after_s; /* the certificate's end, seconds since 1970; 0 not known */
};
void tls_pair_free(struct tls_pair *pair); /* wipes */

/* Reads the pair as it is now.  The error names the file that is wrong. */
int tls_files_new(struct tls_files **ret, struct tls_pair *pair, const char *cert_path, const char *key_path,
		  struct error *err);
void tls_files_free(struct tls_files *files); /* NULL is fine */

enum tls_look {
	TLS_LOOK_SAME,  /* nothing that was not known before */
	TLS_LOOK_FRESH, /* *pair is filled: the files hold another pair now, and it fits */
	TLS_LOOK_BAD,   /* err says why what they hold cannot be used; said once */
};
/* To be called every few seconds; reads the files only when they are others than before.  Somebody may be writing them
 * at this moment, one after the other: what is bad is said when it is still so at the next look. */
enum tls_look tls_files_look(struct tls_files *files, struct tls_pair *pair, struct error *err);
