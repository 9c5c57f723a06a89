#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tests/mock/ufm_call.h"

/* Who may come in: one user with a password, the tokens and the web sessions issued to it. */

enum { UFM_TOKENS_MAX = 256, UFM_SESSIONS_MAX = 256, UFM_SECRET_TEXT = 33 };

struct ufm_token {
	char *text;
	int64_t issued_s;
	bool revoked;
};

struct ufm_accounts {
	char *username, *password;
	struct ufm_token tokens[UFM_TOKENS_MAX];
	size_t n_tokens;
	char sessions[UFM_SESSIONS_MAX][UFM_SECRET_TEXT]; /* a ring: the oldest gives way */
	size_t next_session;
};

/* What a request brought, for the log and for the counts. */
enum ufm_auth { UFM_AUTH_NONE, UFM_AUTH_BASIC, UFM_AUTH_CERTIFICATE, UFM_AUTH_SESSION, UFM_AUTH_TOKEN, UFM_AUTHS };
const char *ufm_auth_name(enum ufm_auth auth);

struct ufm_credentials {
	const char *authorization, *cookie, *client_name; /* each NULL: not there */
};

void ufm_accounts_init(struct ufm_accounts *accounts, const char *username, const char *password, const char *token,
		       int64_t wall_ms);
void ufm_accounts_free(struct ufm_accounts *accounts);
/* Another username or password ends all sessions; another token revokes the ones before.  NULL: as it was. */
void ufm_accounts_change(struct ufm_accounts *accounts, const char *username, const char *password, const char *token,
			 int64_t wall_ms);
void ufm_accounts_forget_sessions(struct ufm_accounts *accounts);
/* True: may enter there; *brought also when not. */
bool ufm_accounts_check(const struct ufm_accounts *accounts, enum ufm_prefix prefix,
			const struct ufm_credentials *credentials, enum ufm_auth *brought);
/* A new session's cookie value, borrowed until the next one, or NULL: wrong. */
const char *ufm_accounts_login(struct ufm_accounts *accounts, const char *username, const char *password);
/* NULL: too many. */
const struct ufm_token *ufm_accounts_new_token(struct ufm_accounts *accounts, int64_t wall_ms);
bool ufm_accounts_revoke(struct ufm_accounts *accounts, const char *token);
void ufm_accounts_print_token(const struct ufm_accounts *accounts, const struct ufm_token *token, struct buf *json);
