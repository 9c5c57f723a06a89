#include "ufmsync/kube/client.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/kube/kubeconfig.h"
#include "ufmsync/kube/text_file.h"

enum {
	CONNECTIONS_MAX = 32,   /* of a server without HTTP/2 */
	ANSWER_MAX = 16 << 20,  /* one object */
	METADATA_MAX = 1 << 20, /* of it only the metadata: small enough for HTTP/2 (http.h) */
	REQUEST_MS = 30 * 1000, /* when nothing else is said */
	TOKEN_AGE_MS = 60 * 1000,
	HEADERS_MAX = 8,
};

struct kube {
	struct http *http;
	char *server;
	char *authorization;  /* the header's line; NULL: none */
	char *token_file;     /* that it comes from; NULL: it never changes */
	int64_t token_due_ms; /* when it is to be read again */
	struct kube_observer observer;
};

/* One kube_send(). */
struct call {
	struct kube *kube;
	enum kube_operation operation;
	int64_t sent_ms;
	kube_done_fn *done;
	void *aux;
};

/* --- identity --- */

static void set_bearer(struct kube *kube, const char *token)
{
	mem_wipe_free(kube->authorization);
	kube->authorization = mem_printf("Authorization: Bearer %s", token);
}

static void set_basic(struct kube *kube, const char *username, const char *password)
{
	char *plain = mem_printf("%s:%s", username, password ? password : "");
	size_t len = strlen(plain);
	char *encoded = mem_alloc(len / 3 * 4 + 5);

	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain, (int)len);
	mem_wipe_free(kube->authorization);
	kube->authorization = mem_printf("Authorization: Basic %s", encoded);
	mem_wipe_free(plain);
	mem_wipe_free(encoded);
}

/* A file that cannot be read right now (it is being replaced) leaves the token that we have. */
static void refresh_token(struct kube *kube)
{
	struct error err;
	char *token;

	if (!kube->token_file || loop_now_ms() < kube->token_due_ms)
		return;
	kube->token_due_ms = loop_now_ms() + TOKEN_AGE_MS;
	if (text_file_read(&token, kube->token_file, KUBE_CONFIG_TOKEN_MAX, &err) < 0)
		return;
	if (kube_config_check_token(token, &err) == 0)
		set_bearer(kube, token);
	mem_wipe_free(token);
}

void kube_saw(struct kube *kube, enum kube_operation operation, const struct http_reply *reply, int64_t ms)
{
	if (reply->status == 401)
		kube->token_due_ms = 0;
	if (kube->observer.ended && operation != KUBE_OTHER)
		kube->observer.ended(kube->observer.aux, operation, http_outcome(reply), ms);
}

/* --- life --- */

static int set_tls(struct kube *kube, const struct kube_config *config, struct error *err)
{
	const struct http_tls tls = {
		.ca = config->ca,
		.name = config->tls_name,
		.cert = config->cert,
		.key = config->key,
		.insecure = config->insecure,
	};

	return http_set_tls(kube->http, &tls, err) < 0 ? error_wrap(err, "%s", config->origin) : 0;
}

int kube_new(struct kube **ret, struct loop *loop, const struct kube_config *config, const char *user_agent,
	     struct error *err)
{
	const struct http_options options = { .user_agent = user_agent,
					      .http2 = true,
					      .max_connections = CONNECTIONS_MAX };
	struct kube *kube = mem_alloc(sizeof *kube);

	if (http_new(&kube->http, loop, &options, err) < 0 || set_tls(kube, config, err) < 0) {
		kube_free(kube);
		return -1;
	}
	kube->server = mem_dup(config->server);
	kube->token_file = mem_dup(config->token_file);
	if (config->token)
		set_bearer(kube, config->token);
	else if (config->username)
		set_basic(kube, config->username, config->password);
	*ret = kube;
	return 0;
}

void kube_free(struct kube *kube)
{
	if (!kube)
		return;
	http_free(kube->http);
	free(kube->server);
	mem_wipe_free(kube->authorization);
	free(kube->token_file);
	free(kube);
}

void kube_drop_idle(struct kube *kube)
{
	http_drop_idle(kube->http);
}

/* --- measuring --- */

const char *kube_operation_name(enum kube_operation operation)
{
	static const char *const names[KUBE_OPERATIONS] = {
		[KUBE_OTHER] = "other",
		[KUBE_GET_POD] = "get_pod",
		[KUBE_PATCH_POD] = "patch_pod",
		[KUBE_LIST] = "list",
		[KUBE_READ_LEASE] = "read_lease",
		[KUBE_WRITE_LEASE] = "write_lease",
		[KUBE_WRITE_EVENT] = "write_event",
		[KUBE_REVIEW] = "review",
	};

	assert(operation < KUBE_OPERATIONS);
	return names[operation];
}

void kube_observe(struct kube *kube, const struct kube_observer *observer)
{
	kube->observer = *observer;
}

/* --- requests --- */

struct http_request *kube_send_raw(struct kube *kube, const struct http_request_options *options)
{
	struct http_request_options with = *options;
	const char *headers[HEADERS_MAX];
	size_t n = 0;
	bool accepts = false;

	refresh_token(kube);
	for (; options->headers && options->headers[n]; n++) {
		assert(n < HEADERS_MAX - 3);
		headers[n] = options->headers[n];
		accepts |= strncmp(headers[n], "Accept:", 7) == 0;
	}
	if (!accepts)
		headers[n++] = "Accept: application/json";
	if (kube->authorization)
		headers[n++] = kube->authorization;
	headers[n] = NULL;
	char *url = mem_printf("%s%s", kube->server, options->url);
	with.url = url;
	with.headers = headers;
	struct http_request *request = http_send(kube->http, &with);
	free(url);
	return request;
}

/* Retry-After of the header, else of the Status. */
static int64_t retry_after(const struct http_reply *http, const json_t *object)
{
	int64_t seconds = json_int(object, -1, "details", "retryAfterSeconds", NULL);

	if (http->retry_after_ms >= 0 || seconds < 0 || seconds > 3600)
		return http->retry_after_ms;
	return seconds * 1000;
}

static void on_done(void *aux, const struct http_reply *http)
{
	struct call *call = aux;
	struct error err = { 0 };
	json_t *object = NULL;
	struct kube_reply reply = { .status = http->status, .reason = "", .retry_after_ms = -1, .sent = http->sent };
	bool good = http->status >= 200 && http->status < 300;

	kube_saw(call->kube, call->operation, http, loop_now_ms() - call->sent_ms);
	if (!http->error && http->body_len > 0)
		object = json_parse(http->body, http->body_len, &err);
	if (http->error)
		err = *http->error;
	else if (!good)
		kube_status_error(&err, http->status, http->body, http->body_len, NULL);
	else if (!object)
		error_set(&err, ERROR_RETRY, "HTTP %d, but no JSON came: not an API server?", http->status);
	const char *reason = json_str(object, "reason", NULL);
	if (reason && !good)
		reply.reason = reason;
	reply.object = object;
	reply.retry_after_ms = retry_after(http, object);
	reply.error = err.kind != ERROR_NONE ? &err : NULL;
	call->done(call->aux, &reply);
	json_decref(object);
}

struct http_request *kube_send(struct kube *kube, const struct kube_request_options *options)
{
	struct call *call = mem_alloc(sizeof *call);
	__attribute__((cleanup(mem_freep))) char *content_type =
		mem_printf("Content-Type: %s", options->content_type ? options->content_type : "application/json");
	const char *headers[3] = { NULL };
	size_t n = 0;

	if (options->body)
		headers[n++] = content_type;
	if (options->metadata_only)
		headers[n++] = "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
	*call = (struct call){ kube, options->operation, loop_now_ms(), options->done, options->aux };
	size_t answer_max = options->answer_max > 0 ? options->answer_max : ANSWER_MAX;
	return kube_send_raw(kube, &(struct http_request_options){
					   .method = options->method,
					   .url = options->path,
					   .headers = headers,
					   .body = options->body,
					   .body_len = options->body_len,
					   .send_by_ms = options->send_by_ms,
					   .timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : REQUEST_MS,
					   .body_max = options->metadata_only ? METADATA_MAX : answer_max,
					   .done = on_done,
					   .release = free,
					   .aux = call,
				   });
}
