#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/ctl/reach_private.h"
#include "ufmsync/kube/kubeconfig.h"
#include "ufmsync/kube/yaml.h"

enum { TOKEN_SECONDS = 600, TOKEN_MARGIN_MS = 120 * 1000 };

static const char *namespace_of(const struct reach *reach)
{
	return reach->options->service_namespace ? reach->options->service_namespace : "kube-system";
}

static void send(struct reach *reach, const char *method, const char *url, const char *const *headers, const char *body,
		 struct reach_answer *answer, const char *doing)
{
	struct reach_exchange exchange = { .reach = reach, .answer = answer };

	kube_send_raw(reach->kube, &(struct http_request_options){ .method = method,
								   .url = url,
								   .headers = headers,
								   .body = body,
								   .body_len = body ? strlen(body) : 0,
								   .timeout_ms = reach_left_ms(reach),
								   .body_max = REACH_ANSWER_MAX,
								   .done = reach_on_reply,
								   .aux = &exchange });
	reach_wait(&exchange, doing);
}

/* --- the token -------------------------------------------------------------------------------------------------- */

static char *token_body(void)
{
	json_t *body = json_pack("{s:s, s:s, s:{s:[s], s:i}}", "apiVersion", "authentication.k8s.io/v1", "kind",
				 "TokenRequest", "spec", "audiences", "ufmsync", "expirationSeconds", TOKEN_SECONDS);
	char *text = json_dumps(body, JSON_COMPACT);

	json_decref(body);
	return text;
}

static int keep_token(struct reach_token *token, const struct reach_answer *answer, struct error *err)
{
	const char *text = json_str(answer->object, "status", "token", NULL);
	char *copy = mem_dup(text ? text : "");

	if (kube_config_check_token(copy, err) < 0) {
		mem_wipe_free(copy);
		return error_wrap(err, "API server: TokenRequest");
	}
	mem_wipe_free(token->text);
	token->text = copy;
	token->due_ms = loop_now_ms() + TOKEN_SECONDS * INT64_C(1000) - TOKEN_MARGIN_MS;
	return 0;
}

static int ask_token(struct reach *reach, struct reach_token *token, const char *account, struct error *err)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	const struct reach_place place = { .way = REACH_PROXY, .namespace = namespace_of(reach), .account = account };
	__attribute__((cleanup(mem_freep))) char *namespace = reach_segment(place.namespace);
	__attribute__((cleanup(mem_freep))) char *url =
		mem_printf("/api/v1/namespaces/%s/serviceaccounts/%s/token", namespace, account);
	__attribute__((cleanup(mem_freep))) char *body = token_body();
	struct reach_answer answer = { 0 };
	int status = 0;

	if (token->text && loop_now_ms() < token->due_ms)
		return 0;
	send(reach, "POST", url, headers, body, &answer, "asking the API server for a token");
	if (answer.error.kind == ERROR_NONE && answer.status >= 200 && answer.status < 300) {
		status = keep_token(token, &answer, err);
	} else {
		reach_explain_token(&place, &answer, err);
		status = -1;
	}
	yaml_wipe(answer.object);
	answer.object = NULL;
	reach_answer_free(&answer);
	return status;
}

/* --- the way ---------------------------------------------------------------------------------------------------- */

static int open_proxy(struct reach *reach, struct error *err)
{
	return reach_open_kube(reach, err);
}

static void close_proxy(struct reach *reach)
{
	(void)reach;
}

static int ask_proxy(struct reach *reach, const char *method, const char *path, const char *body,
		     struct reach_answer *answer, struct error *err)
{
	bool reads = strcmp(method, "GET") == 0;
	struct reach_token *token = reads ? &reach->reader : &reach->operator;
	const char *service = reach->options->service_name ? reach->options->service_name : "ufmsync";

	if (reach_open_kube(reach, err) < 0)
		return -1;
	if (ask_token(reach, token, reads ? "ufmsync-reader" : "ufmsync-operator", err) < 0)
		return -1;
	__attribute__((cleanup(mem_freep))) char *namespace = reach_segment(namespace_of(reach));
	__attribute__((cleanup(mem_freep))) char *url =
		mem_printf("/api/v1/namespaces/%s/services/https:%s:8443/proxy%s", namespace, service, path);
	char *header = mem_printf("X-Ufmsync-Token: %s", token->text);
	const char *headers[] = { header, "Content-Type: application/json", NULL };

	send(reach, method, url, headers, body, answer, "asking the service");
	mem_wipe_free(header);
	return 0;
}

const struct reach_class reach_proxy = { .open = open_proxy, .close = close_proxy, .ask = ask_proxy };
