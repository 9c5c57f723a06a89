#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/mock/ufm_model.h"
#include "tests/mock/ufm_switches.h"

/* A REST request, read as strictly as UFM reads it: routes, JSON schema, PKey and GUID syntax.  Pure. */

enum ufm_operation {
	UFM_OP_NONE,
	UFM_OP_LOGIN,
	UFM_OP_VERSION,
	UFM_OP_TOKENS,
	UFM_OP_TOKEN_NEW,
	UFM_OP_TOKEN_REVOKE,
	UFM_OP_SMCONF,
	UFM_OP_CLIENT_AUTH,
	UFM_OP_EVENTS,
	UFM_OP_LOGS,
	UFM_OP_JOB,
	UFM_OP_LIST,
	UFM_OP_GET,
	UFM_OP_LAST_UPDATED,
	UFM_OP_VPORTS,
	UFM_OP_PORTS,
	UFM_OP_SYSTEMS,
	UFM_OP_FIRST_WRITE, /* what follows changes partitions */
	UFM_OP_CREATE = UFM_OP_FIRST_WRITE,
	UFM_OP_ADD,
	UFM_OP_SET,
	UFM_OP_REMOVE,
	UFM_OP_DELETE,
	UFM_OP_QOS,
	UFM_OP_HOSTS_ADD,
	UFM_OP_HOSTS_REMOVE,
	UFM_OP_SHARP,
	UFM_OPERATIONS,
};
const char *ufm_operation_name(enum ufm_operation operation); /* "add", "remove", "list" ... */
bool ufm_operation_parse(enum ufm_operation *operation, const char *name);
static inline bool ufm_operation_writes(enum ufm_operation operation)
{
	return operation >= UFM_OP_FIRST_WRITE;
}

enum ufm_prefix {
	UFM_PREFIX_NONE,    /* no such path */
	UFM_PREFIX_BASIC,   /* /ufmRest: Basic or client certificate */
	UFM_PREFIX_SESSION, /* /ufmRestV2: cookie */
	UFM_PREFIX_TOKEN,   /* /ufmRestV3: "Basic <raw token>" */
	UFM_PREFIX_OPEN,    /* /dologin */
};

struct ufm_http {
	const char *method, *path; /* path decoded, without query */
	const char *(*query)(const void *aux, const char *key);
	const void *aux;
	const char *body;
	size_t body_len;
};

struct ufm_call {
	enum ufm_prefix prefix;
	enum ufm_operation operation;
	/* Not 0: the request is refused so, with `refusal` (owned) as its text; `html`: by the web server in front. */
	int refused;
	char *refusal;
	bool html;

	unsigned pkey; /* UFM_PKEY_COUNT: names none */
	char *name;    /* partition name, host names, job id, token, sharp action, user: by operation; owned; or NULL */
	char *password;             /* UFM_OP_LOGIN; owned */
	struct ufm_member *members; /* ADD, SET, REMOVE (guid only) */
	size_t n_members;
	bool ip_over_ib;
	bool by_action; /* through actions/... */
	bool by_list;   /* memberships of their own, not one for all */
	bool has_mtu, has_level, has_rate;
	struct ufm_qos qos;
	bool guids_data, qos_conf, other_flag;           /* query */
	char *filter_system, *filter_port, *filter_type; /* query; owned; or NULL */
};

/* Always fills `call`; free it afterwards in any case. */
void ufm_call_parse(struct ufm_call *call, const struct ufm_http *http, const struct ufm_switches *switches);
void ufm_call_free(struct ufm_call *call);
/* The first refusal stays. */
void ufm_call_refuse(struct ufm_call *call, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "0x2FB", "0x02fb", or decimal without 0x (sic); any number up to 0x7fff, 0 included. */
bool ufm_pkey_parse(unsigned *pkey, const char *text);
/* 16 to 20 characters, 0x or not, hexadecimal, 64 bits. */
bool ufm_guid_parse(uint64_t *guid, const char *text, size_t len);
