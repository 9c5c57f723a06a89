#include "pkey/ufm_access.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { ADDRESS_MAX = 253, PREFIX_MAX = 512, SECRETS_SHOWN = 3, SECRET_LEAST = 4 };

struct ufm_access {
	enum ufm_auth auth;
	bool https, insecure;
	char *tls_name;
	char *url;
	size_t prefix_at; /* in url */
	char *authorization;
	char *shown[SECRETS_SHOWN]; /* what no answer may be quoted with; NULLs behind them */
};

static bool only_of(const char *text, const char *set)
{
	return text[strspn(text, set)] == '\0';
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/* The address as it stands in a URL: an IPv6 one in brackets. */
static int url_host(char **out, const char *address, struct error *err)
{
	size_t n = strlen(address);
	bool bracketed = n > 2 && address[0] == '[' && address[n - 1] == ']';
	struct in6_addr ignored;
	char *bare = bracketed ? mem_dup_n(address + 1, n - 2) : mem_dup(address);
	int ret = 0;

	if (inet_pton(AF_INET6, bare, &ignored) == 1)
		*out = mem_printf("[%s]", bare);
	else if (n == 0 || n > ADDRESS_MAX || !only_of(address, LETTERS DIGITS ".-_"))
		ret = error_set(err, ERROR_INVALID,
				"UFM_ADDRESS \"%.100s\" is no host name or IP address (the port goes into UFM_PORT, "
				"the path into "
				"UFM_PREFIX)",
				address);
	else
		*out = mem_dup(address);
	free(bare);
	return ret;
}

/* "/ufmRest"; one slash at its end is dropped, so "/" is none. */
static int url_prefix(char **out, const struct ufm_options *options, struct error *err)
{
	const char *prefix = options->prefix;

	if (!prefix)
		prefix = options->auth == UFM_AUTH_TOKEN ? "/ufmRestV3" : "/ufmRest";
	size_t n = strlen(prefix);
	if (prefix[0] != '/' || n > PREFIX_MAX || !only_of(prefix, LETTERS DIGITS "/.-_~"))
		return error_set(err, ERROR_INVALID, "UFM_PREFIX \"%.100s\" is no path like /ufmRest", prefix);
	*out = mem_dup_n(prefix, prefix[n - 1] == '/' ? n - 1 : n);
	return 0;
}

static int build_url(struct ufm_access *access, const struct ufm_options *options, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *host = NULL;
	__attribute__((cleanup(mem_freep))) char *prefix = NULL;
	unsigned port = options->port ? options->port : access->https ? 443 : 80;

	if (port > 65535)
		return error_set(err, ERROR_INVALID, "UFM_PORT %u is no port", port);
	if (url_host(&host, options->address, err) < 0 || url_prefix(&prefix, options, err) < 0)
		return -1;
	access->url = mem_printf("%s://%s:%u%s", options->schema, host, port, prefix);
	access->prefix_at = strlen(access->url) - strlen(prefix);
	return 0;
}

int ufm_access_new(struct ufm_access **ret, const struct ufm_options *options, struct error *err)
{
	bool https = strcmp(options->schema, "https") == 0;

	if (!https && strcmp(options->schema, "http") != 0)
		return error_set(err, ERROR_INVALID, "UFM_HTTP_SCHEMA \"%.32s\" is neither https nor http",
				 options->schema);
	if (!https && options->auth == UFM_AUTH_MTLS)
		return error_set(err, ERROR_INVALID, "UFM_AUTH mtls needs UFM_HTTP_SCHEMA https");
	struct ufm_access *access = mem_alloc(sizeof *access);
	access->auth = options->auth;
	access->https = https;
	access->insecure = options->insecure;
	access->tls_name = mem_dup(options->tls_name);
	if (build_url(access, options, err) < 0) {
		ufm_access_free(access);
		return -1;
	}
	*ret = access;
	return 0;
}

static void forget(struct ufm_access *access)
{
	mem_wipe_free(access->authorization);
	access->authorization = NULL;
	for (size_t i = 0; i < SECRETS_SHOWN; i++) {
		mem_wipe_free(access->shown[i]);
		access->shown[i] = NULL;
	}
}

void ufm_access_free(struct ufm_access *access)
{
	if (!access)
		return;
	forget(access);
	free(access->tls_name);
	free(access->url);
	free(access);
}

static int need(const struct secrets *secrets, enum secret_id id, const char *auth, struct error *err)
{
	if (secrets_get(secrets, id))
		return 0;
	return error_set(err, ERROR_INVALID, "UFM_AUTH %s needs %s, which is not set", auth, secret_name(id));
}

static char *encode_basic(const char *user, const char *password)
{
	char *plain = mem_printf("%s:%s", user, password);
	size_t n = strlen(plain);
	char *encoded = mem_alloc(n / 3 * 4 + 5);

	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain, (int)n);
	mem_wipe_free(plain);
	return encoded;
}

static int take_basic(struct ufm_access *fresh, const struct secrets *secrets, struct error *err)
{
	if (need(secrets, SECRET_UFM_USERNAME, "basic", err) < 0 ||
	    need(secrets, SECRET_UFM_PASSWORD, "basic", err) < 0)
		return -1;
	const char *user = secrets_get(secrets, SECRET_UFM_USERNAME),
		   *password = secrets_get(secrets, SECRET_UFM_PASSWORD);
	if (strchr(user, ':'))
		return error_set(err, ERROR_INVALID,
				 "UFM_USERNAME holds a colon, which basic authentication cannot carry");
	fresh->shown[0] = encode_basic(user, password);
	fresh->shown[1] = mem_dup(password);
	fresh->authorization = mem_printf("Authorization: Basic %s", fresh->shown[0]);
	return 0;
}

/* The token stands raw behind the word Basic: neither base64 nor Bearer. */
static int take_token(struct ufm_access *fresh, const struct secrets *secrets, struct error *err)
{
	if (need(secrets, SECRET_UFM_TOKEN, "token", err) < 0)
		return -1;
	const char *token = secrets_get(secrets, SECRET_UFM_TOKEN);
	if (!only_of(token, LETTERS DIGITS "-._~+/="))
		return error_set(err, ERROR_INVALID, "UFM_TOKEN holds a character that no token has");
	fresh->shown[0] = mem_dup(token);
	fresh->authorization = mem_printf("Authorization: Basic %s", token);
	return 0;
}

static int take_identity(const struct ufm_access *access, struct http *http, const struct secrets *secrets,
			 struct error *err)
{
	const char *certificate = secrets_get(secrets, SECRET_UFM_CERTIFICATE);
	bool mtls = access->auth == UFM_AUTH_MTLS;
	const struct http_tls tls = {
		/* A self-signed one may be the server's own or its CA's. */
		.ca = certificate,
		.pin = certificate && secrets_is_self_signed(certificate) ? certificate : NULL,
		.name = access->tls_name,
		.cert = mtls ? secrets_get(secrets, SECRET_UFM_CLIENT_CERT) : NULL,
		.key = mtls ? secrets_get(secrets, SECRET_UFM_CLIENT_KEY) : NULL,
		/* UFM asks for a client certificate by renegotiating, which TLS 1.3 has not. */
		.tls12_at_most = mtls,
		.insecure = access->insecure,
	};

	return access->https ? http_set_tls(http, &tls, err) : 0;
}

int ufm_access_take(struct ufm_access *access, struct http *http, const struct secrets *secrets, struct error *err)
{
	struct ufm_access fresh = { 0 };
	int ret = 0;

	if (access->auth == UFM_AUTH_BASIC)
		ret = take_basic(&fresh, secrets, err);
	else if (access->auth == UFM_AUTH_TOKEN)
		ret = take_token(&fresh, secrets, err);
	else if (need(secrets, SECRET_UFM_CLIENT_CERT, "mtls", err) < 0 ||
		 need(secrets, SECRET_UFM_CLIENT_KEY, "mtls", err) < 0)
		ret = -1;
	if (ret < 0 || take_identity(access, http, secrets, err) < 0) {
		forget(&fresh);
		return -1;
	}
	forget(access);
	access->authorization = fresh.authorization;
	memcpy(access->shown, fresh.shown, sizeof access->shown);
	return 0;
}

const char *ufm_access_url(const struct ufm_access *access)
{
	return access->url;
}

const char *ufm_access_prefix(const struct ufm_access *access)
{
	return access->url + access->prefix_at;
}

const char *ufm_access_authorization(const struct ufm_access *access)
{
	return access->authorization;
}

bool ufm_access_is_in(const struct ufm_access *access, const char *text)
{
	for (size_t i = 0; i < SECRETS_SHOWN && access->shown[i]; i++)
		if (strlen(access->shown[i]) >= SECRET_LEAST && strstr(text, access->shown[i]))
			return true;
	return false;
}
