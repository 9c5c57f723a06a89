#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "secrets/pem.h"
#include "ufmsync/ctl/reach_private.h"
#include "ufmsync/kube/kubeconfig.h"
#include "ufmsync/kube/text_file.h"

/* Of the URL, which a token goes to: https, and nothing behind the port. */
static int check_url(const char *url, struct error *err)
{
	if (strncmp(url, "https://", 8) != 0)
		return error_set(err, ERROR_INVALID, "--server '%.100s': https://HOST:PORT is expected", url);
	if (kube_config_check_server(url, err) < 0)
		return error_wrap(err, "--server");
	return 0;
}

static int set_tls(struct reach *reach, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *ca = NULL;
	const char *path = reach->options->ca_file;

	if (path && (text_file_read(&ca, path, KUBE_CONFIG_FILE_MAX, err) < 0 || pem_check_certificate(ca, err) < 0))
		return error_wrap(err, "--ca %.200s", path);
	return http_set_tls(reach->http, &(struct http_tls){ .ca = ca, .name = reach->options->tls_name }, err);
}

static int open_server(struct reach *reach, struct error *err)
{
	const struct http_options options = { .user_agent = "ufmsyncctl/" UFMSYNC_VERSION, .max_connections = 2 };

	if (check_url(reach->options->server, err) < 0)
		return -1;
	if (http_new(&reach->http, reach->loop, &options, err) < 0)
		return -1;
	return set_tls(reach, err);
}

static void close_server(struct reach *reach)
{
	(void)reach;
}

/* Read anew each time: it is rotated. */
static int read_token(char **token, const char *path, struct error *err)
{
	if (text_file_read(token, path, KUBE_CONFIG_TOKEN_MAX, err) < 0)
		return error_wrap(err, "--token-file");
	if (kube_config_check_token(*token, err) < 0) {
		mem_wipe_free(*token);
		return error_wrap(err, "--token-file %.200s", path);
	}
	return 0;
}

static int ask_server(struct reach *reach, const char *method, const char *path, const char *body,
		      struct reach_answer *answer, struct error *err)
{
	struct reach_exchange exchange = { .reach = reach, .answer = answer };
	const char *server = reach->options->server;
	size_t n = strlen(server);
	char *token;

	if (read_token(&token, reach->options->token_file, err) < 0)
		return -1;
	while (n > 0 && server[n - 1] == '/')
		n--;
	__attribute__((cleanup(mem_freep))) char *url = mem_printf("%.*s%s", (int)n, server, path);
	char *header = mem_printf("Authorization: Bearer %s", token);
	const char *headers[] = { header, "Content-Type: application/json", NULL };

	http_send(reach->http, &(struct http_request_options){ .method = method,
							       .url = url,
							       .headers = headers,
							       .body = body,
							       .body_len = body ? strlen(body) : 0,
							       .timeout_ms = reach_left_ms(reach),
							       .body_max = REACH_ANSWER_MAX,
							       .done = reach_on_reply,
							       .aux = &exchange });
	mem_wipe_free(header);
	mem_wipe_free(token);
	reach_wait(&exchange, "asking the service");
	return 0;
}

const struct reach_class reach_server = { .open = open_server, .close = close_server, .ask = ask_server };
