#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/call.h"
#include "base/error.h"
#include "guid/guid.h"
#include "pkey/pkey.h"

/* What is said to UFM's REST API and what its answers mean.  Pure: bytes in, bytes out; the list is ufm_list.h's.
 *
 * Only calls that are safe in every release: POST adds to a PKey and creates it (with one scalar membership a request: lists
 * of them are ignored or refused); PUT replaces what others wrote and /add was reported to do damage, so neither is used. */

struct ufm_call {
	const char *method;
	struct buf path; /* behind the prefix (/ufmRest): "/resources/pkeys/0x5?guids_data=true" */
	struct buf body; /* JSON; empty: none */
};

void ufm_call_init(struct ufm_call *call);
void ufm_call_free(struct ufm_call *call);

void ufm_call_join(struct ufm_call *call, struct pkey_class class, bool ip_over_ib, const struct guid *guids, size_t n);
void ufm_call_list(struct ufm_call *call, const struct pkey *only); /* NULL: all */
void ufm_call_probe(struct ufm_call *call);

/* Removal has two routes.  DELETE is the documented one and has its GUIDs in the request line, so it carries
 * ufm_delete_max() of them; the action is deprecated, carries any number, and is what other clients use. */
enum ufm_route { UFM_DELETE, UFM_ACTION };
size_t ufm_delete_max(size_t prefix_len);
void ufm_call_leave(struct ufm_call *call, enum ufm_route route, struct pkey pkey, const struct guid *guids, size_t n);

struct ufm_answer {
	int status;       /* never 0 */
	const char *body; /* NUL-terminated; not of a list that was read */
	size_t body_len;
	const char *location;
	bool withhold; /* neither body nor location may be quoted: there is a secret in one of them */
};

enum ufm_verdict {
	UFM_DONE,     /* accepted, or nothing to be done */
	UFM_NO_PKEY,  /* "404", and not as a web page: no such PKey, if this is UFM at all (a probe tells) */
	UFM_NO_ROUTE, /* this call is not known here; err says so */
	UFM_FAILED,   /* err */
};

enum call_outcome ufm_outcome(const struct ufm_answer *answer); /* for metrics */

/* err's kinds are backend.h's.  Bodies have no fixed format and types cannot be believed: up to 200 bytes of them are
 * quoted, of a web page its title. */
enum ufm_verdict ufm_judge_join(const struct ufm_answer *answer, struct error *err);
enum ufm_verdict ufm_judge_leave(const struct ufm_answer *answer, struct error *err);
/* `all`: there is no PKey that could be missing.  UFM_DONE of a 2xx: ufm_list_end() decides. */
enum ufm_verdict ufm_judge_list(const struct ufm_answer *answer, bool all, struct error *err);
/* A UFM that does not know this path: ERROR_INVALID. */
enum ufm_verdict ufm_judge_ports(const struct ufm_answer *answer, struct error *err);
/* `version` as UFM says it ("6.19.3-1"), "" when it does not. */
enum { UFM_VERSION_MAX = 64 };
enum ufm_verdict ufm_judge_probe(const struct ufm_answer *answer, char version[UFM_VERSION_MAX], struct error *err);
