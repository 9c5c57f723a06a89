#include "pkey/ufm_enforcement.h"

#include <stdlib.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/net/http.h"
#include "pkey/ufm_access.h"

enum { ANSWER_MAX = 64 << 10 };

struct ufm_enforcement_ask {
	struct http *http;
	struct ufm_access *access;
	void (*done)(void *aux, enum ufm_enforcement enforcement);
	void *aux;
};

/* The setting says "no enforcement", as a boolean or, as other dumps of opensm.conf do, a text. */
enum ufm_enforcement ufm_enforcement_read(int status, const char *body, size_t len)
{
	struct error ignored;
	enum ufm_enforcement found = UFM_ENFORCEMENT_UNKNOWN;

	if (status != 200)
		return found;
	json_t *root = json_parse(body, len, &ignored);
	const json_t *value = json_object_get(root, "no_partition_enforcement");
	const char *text = json_string_value(value);
	if (json_is_false(value) || (text && strcasecmp(text, "false") == 0))
		found = UFM_ENFORCEMENT_ON;
	else if (json_is_true(value) || (text && strcasecmp(text, "true") == 0))
		found = UFM_ENFORCEMENT_OFF;
	json_decref(root);
	return found;
}

static void on_reply(void *aux, const struct http_reply *reply)
{
	struct ufm_enforcement_ask *ask = aux;

	ask->done(ask->aux, reply->error ? UFM_ENFORCEMENT_UNKNOWN
					 : ufm_enforcement_read(reply->status, reply->body, reply->body_len));
}

static void send(struct ufm_enforcement_ask *ask, int64_t timeout_ms)
{
	__attribute__((cleanup(mem_freep))) char *url =
		mem_printf("%s" UFM_ENFORCEMENT_PATH, ufm_access_url(ask->access));
	const char *headers[] = { "Accept: application/json", ufm_access_authorization(ask->access), NULL };

	http_send(ask->http, &(struct http_request_options){ .method = "GET",
							     .url = url,
							     .headers = headers,
							     .timeout_ms = timeout_ms,
							     .body_max = ANSWER_MAX,
							     .done = on_reply,
							     .aux = ask });
}

int ufm_enforcement_ask(struct ufm_enforcement_ask **ret, struct loop *loop, const struct ufm_options *options,
			const struct secrets *secrets, void (*done)(void *aux, enum ufm_enforcement enforcement),
			void *aux, struct error *err)
{
	const struct http_options http_options = { .user_agent = "ufmsync/" UFMSYNC_VERSION, .max_connections = 1 };
	struct ufm_enforcement_ask *ask = mem_alloc(sizeof *ask);

	ask->done = done;
	ask->aux = aux;
	if (ufm_access_new(&ask->access, options, err) < 0 || http_new(&ask->http, loop, &http_options, err) < 0 ||
	    ufm_access_take(ask->access, ask->http, secrets, err) < 0) {
		ufm_enforcement_free(ask);
		return -1;
	}
	send(ask, options->timeout_ms);
	*ret = ask;
	return 0;
}

void ufm_enforcement_free(struct ufm_enforcement_ask *ask)
{
	if (!ask)
		return;
	http_free(ask->http);
	ufm_access_free(ask->access);
	free(ask);
}
