#include "tests/mock/ufm_accounts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

enum { TOKEN_LIFE_S = 315360000, SESSION_TEXT = UFM_SECRET_TEXT - 1 };

static const char *const auth_names[UFM_AUTHS] = { "none", "basic", "certificate", "session", "token" };

const char *ufm_auth_name(enum ufm_auth auth)
{
	return auth_names[auth];
}

static void random_text(char *out, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[UFM_SECRET_TEXT];

	assert(len < sizeof(bytes));
	if (getrandom(bytes, len, 0) != (ssize_t)len)
		abort();
	for (size_t i = 0; i < len; i++)
		out[i] = digits[bytes[i] & 15];
	out[len] = '\0';
}

static void keep_token(struct ufm_accounts *accounts, char *text, int64_t wall_ms)
{
	accounts->tokens[accounts->n_tokens++] = (struct ufm_token){ .text = text, .issued_s = wall_ms / 1000 };
}

void ufm_accounts_init(struct ufm_accounts *accounts, const char *username, const char *password, const char *token,
		       int64_t wall_ms)
{
	*accounts = (struct ufm_accounts){ .username = mem_dup(username), .password = mem_dup(password) };
	if (token)
		keep_token(accounts, mem_dup(token), wall_ms);
}

static void forget_tokens(struct ufm_accounts *accounts)
{
	while (accounts->n_tokens > 0)
		mem_wipe_free(accounts->tokens[--accounts->n_tokens].text);
}

void ufm_accounts_forget_sessions(struct ufm_accounts *accounts)
{
	memset(accounts->sessions, 0, sizeof(accounts->sessions));
}

void ufm_accounts_free(struct ufm_accounts *accounts)
{
	free(accounts->username);
	mem_wipe_free(accounts->password);
	forget_tokens(accounts);
	*accounts = (struct ufm_accounts){ 0 };
}

void ufm_accounts_change(struct ufm_accounts *accounts, const char *username, const char *password, const char *token,
			 int64_t wall_ms)
{
	if (username) {
		free(accounts->username);
		accounts->username = mem_dup(username);
	}
	if (password) {
		mem_wipe_free(accounts->password);
		accounts->password = mem_dup(password);
	}
	if (username || password)
		ufm_accounts_forget_sessions(accounts);
	if (token) {
		forget_tokens(accounts);
		keep_token(accounts, mem_dup(token), wall_ms);
	}
}

static int base64_value(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* Owned; NULL: no base64. */
static char *base64_decode(const char *text)
{
	size_t len = strlen(text), n = 0;
	char *out = mem_alloc(len / 4 * 3 + 1);
	unsigned bits = 0;

	for (size_t i = 0; i < len; i++) {
		bool padding = text[i] == '=' && i + 2 >= len;
		int value = padding ? 0 : base64_value(text[i]);
		if (len % 4 != 0 || value < 0) {
			free(out);
			return NULL;
		}
		bits = bits << 6 | (unsigned)value;
		if (i % 4 == 3) {
			out[n++] = (char)(bits >> 16 & 0xff);
			out[n++] = (char)(bits >> 8 & 0xff);
			out[n++] = (char)(bits & 0xff);
		}
	}
	out[n] = '\0';
	return out;
}

static bool user_is(const struct ufm_accounts *accounts, const char *username, const char *password)
{
	return strcmp(username, accounts->username) == 0 && strcmp(password, accounts->password) == 0;
}

static bool basic_is_right(const struct ufm_accounts *accounts, const char *encoded)
{
	char *pair = base64_decode(encoded);
	char *colon = pair ? strchr(pair, ':') : NULL;
	bool right = false;

	if (colon) {
		*colon = '\0';
		right = user_is(accounts, pair, colon + 1);
		*colon = ':';
	}
	mem_wipe_free(pair);
	return right;
}

static bool session_is_known(const struct ufm_accounts *accounts, const char *cookie)
{
	const char *at = strstr(cookie, "session=");

	if (!at || strspn(at + 8, "0123456789abcdef") != SESSION_TEXT)
		return false;
	for (size_t i = 0; i < UFM_SESSIONS_MAX; i++)
		if (accounts->sessions[i][0] && strncmp(accounts->sessions[i], at + 8, SESSION_TEXT) == 0)
			return true;
	return false;
}

static bool token_is_live(const struct ufm_accounts *accounts, const char *token)
{
	for (size_t i = 0; i < accounts->n_tokens; i++)
		if (!accounts->tokens[i].revoked && strcmp(accounts->tokens[i].text, token) == 0)
			return true;
	return false;
}

bool ufm_accounts_check(const struct ufm_accounts *accounts, enum ufm_prefix prefix,
			const struct ufm_credentials *credentials, enum ufm_auth *brought)
{
	const char *authorization = credentials->authorization;
	/* The word Basic stands before a raw token too. */
	const char *basic = authorization && strncasecmp(authorization, "Basic ", 6) == 0 ? authorization + 6 : NULL;

	*brought = UFM_AUTH_NONE;
	switch (prefix) {
	case UFM_PREFIX_BASIC:
		if (basic)
			*brought = UFM_AUTH_BASIC;
		else if (credentials->client_name)
			*brought = UFM_AUTH_CERTIFICATE;
		return basic ? basic_is_right(accounts, basic) : credentials->client_name != NULL;
	case UFM_PREFIX_SESSION:
		if (credentials->cookie)
			*brought = UFM_AUTH_SESSION;
		return credentials->cookie && session_is_known(accounts, credentials->cookie);
	case UFM_PREFIX_TOKEN:
		if (basic)
			*brought = UFM_AUTH_TOKEN;
		return basic && token_is_live(accounts, basic);
	case UFM_PREFIX_OPEN:
	case UFM_PREFIX_NONE:
		break;
	}
	return true;
}

const char *ufm_accounts_login(struct ufm_accounts *accounts, const char *username, const char *password)
{
	char *session = accounts->sessions[accounts->next_session];

	if (!user_is(accounts, username, password))
		return NULL;
	random_text(session, SESSION_TEXT);
	accounts->next_session = (accounts->next_session + 1) % UFM_SESSIONS_MAX;
	return session;
}

const struct ufm_token *ufm_accounts_new_token(struct ufm_accounts *accounts, int64_t wall_ms)
{
	char text[UFM_SECRET_TEXT];

	if (accounts->n_tokens == UFM_TOKENS_MAX)
		return NULL;
	random_text(text, UFM_SECRET_TEXT - 1);
	keep_token(accounts, mem_dup(text), wall_ms);
	return &accounts->tokens[accounts->n_tokens - 1];
}

bool ufm_accounts_revoke(struct ufm_accounts *accounts, const char *token)
{
	for (size_t i = 0; i < accounts->n_tokens; i++) {
		if (strcmp(accounts->tokens[i].text, token) == 0) {
			accounts->tokens[i].revoked = true;
			return true;
		}
	}
	return false;
}

void ufm_accounts_print_token(const struct ufm_accounts *accounts, const struct ufm_token *token, struct buf *json)
{
	buf_text(json, "{\"access_token\": ");
	buf_json_string(json, token->text);
	buf_printf(json, ", \"revoked\": %s, \"issued_at\": %" PRId64 ", \"expires_in\": %d, \"username\": ",
		   token->revoked ? "true" : "false", token->issued_s, TOKEN_LIFE_S);
	buf_json_string(json, accounts->username);
	buf_text(json, "}");
}
