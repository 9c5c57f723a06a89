#undef NDEBUG
#include "tests/unit/cni/plugin/asking.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

struct raw_server server;
struct node_file node;
struct attach_answer answer;
struct cni_error err;
struct cert ca, other_ca, asking_good_cert;

static const struct attach_question question = {
	.pod_namespace = "team",
	.pod_name = "p",
	.pod_uid = "u",
	.interface = "net1",
	.network_name = "ib",
	.container_id = "c",
	.node = "gpu-17",
};

int asking_make_certs(void **state)
{
	(void)state;
	cert_make(&ca, &(struct cert_spec){ .common_name = "Test CA", .is_ca = true });
	cert_make(&other_ca, &(struct cert_spec){ .common_name = "Other CA", .is_ca = true });
	cert_make(&asking_good_cert,
		  &(struct cert_spec){ .common_name = "x", .names = "DNS:ufmsync.kube-system.svc", .issuer = &ca });
	return 0;
}

int asking_setup(void **state)
{
	(void)state;
	server.pid = 0;
	node = (struct node_file){
		.address = mem_dup("127.0.0.1"),
		.port = mem_dup("1"),
		.server_name = mem_dup("ufmsync.kube-system.svc"),
		.ca_path = mem_dup("/etc/u/ca.crt"),
		.token_path = mem_dup("/etc/u/token"),
		.ca = mem_dup(ca.cert),
		.token = mem_dup(ASKING_TOKEN),
		.timeout_ms = ASKING_LONG_MS,
		.connect_timeout_ms = ASKING_LONG_MS,
	};
	answer = (struct attach_answer){ 0 };
	err = (struct cni_error){ 0 };
	return 0;
}

int asking_teardown(void **state)
{
	(void)state;
	node_file_free(&node);
	attach_answer_free(&answer);
	if (server.pid)
		raw_server_stop(&server);
	return 0;
}

void asking_use_port(int port)
{
	free(node.port);
	node.port = mem_printf("%d", port);
}

void asking_serve_with(const struct raw_server_options *options)
{
	raw_server_start(&server, options);
	asking_use_port(server.port);
}

void asking_serve(void (*what)(struct raw_peer *peer))
{
	asking_serve_with(&(struct raw_server_options){ .serve = what, .tls = &asking_good_cert });
}

void asked(void)
{
	if (attach_ask(&node, &question, &answer, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(answer.guid, "02:00:00:00:00:00:00:1a");
}

void ask_failed(unsigned code, const char *words, const char *advice)
{
	assert_int_equal(attach_ask(&node, &question, &answer, &err), -1);
	if (err.code != code || !strstr(err.message, words) || !strstr(err.details, advice))
		fail_msg("not %u '%s' '%s' but %u: %s (%s)", code, words, advice, err.code, err.message, err.details);
	assert_null(strstr(err.message, ASKING_TOKEN));
	assert_null(strstr(err.details, ASKING_TOKEN));
	assert_null(answer.guid);
}

void serve_given(struct raw_peer *peer)
{
	if (raw_read_request(peer))
		raw_answer(peer, 200, ASKING_GIVEN);
}

void serve_released(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_wait(peer);
	raw_answer(peer, 200, ASKING_GIVEN);
}

/* A port that refuses, held by a socket that is bound but does not listen. */
int asking_refusing_port(int *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}
