/* mock-kube: plays a Kubernetes API server for tests and demonstrations. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/mock/identity.h"
#include "tests/mock/kube_control.h"
#include "tests/mock/kube_server.h"

enum { EXIT_USAGE = 2, TOKENS_MAX = 64, FILE_MAX_BYTES = 1 << 20 };

struct options {
	const char *listen, *port_file, *control_listen, *control_port_file;
	const char *cert_file, *key_file, *ca_file, *client_ca_file;
	const char *write_ca, *write_kubeconfig, *token_file, *behave_as;
	long history, log_size, bookmark_seconds;
	bool http, exit_with_parent;
};

/* What the options name, read or made. */
struct material {
	struct identity server;
	char *ca, *client_ca;
	char *tokens; /* one a line or between commas */
	const char *token[TOKENS_MAX + 1];
};

static const char help_text[] =
	"mock-kube " UFMSYNC_VERSION " - plays a Kubernetes API server for tests and demonstrations\n\n"
	"usage: mock-kube [OPTION ...]\n"
	"  --listen ADDRESS:PORT           127.0.0.1:0; port 0: any free one\n"
	"  --port-file FILE                the port, written when ready\n"
	"  --control-listen ADDRESS:PORT   127.0.0.1:0; loopback only\n"
	"  --control-port-file FILE        its port, written when ready\n"
	"  --http                          plain http; else https with a CA and a certificate made at the start\n"
	"  --cert FILE --key FILE          https with these (PEM); --ca FILE is then the CA of --write-ca\n"
	"  --client-ca FILE                client certificates of this CA are let in\n"
	"  --write-ca FILE                 writes the CA (PEM), before the port\n"
	"  --write-kubeconfig FILE         writes a kubeconfig, before the port\n"
	"  --token-file FILE               bearer tokens, one a line, besides MOCK_KUBE_TOKEN\n"
	"  --behave-as 1.20|0.36           where these versions differ (1.20): watch-list, bookmarks, /version\n"
	"  --history N                     events kept of each kind, from which watches resume (20000)\n"
	"  --log-size N                    requests kept for /control/log (10000)\n"
	"  --bookmark-interval SECONDS     60\n"
	"  --exit-with-parent              ends when the process that started it ends\n"
	"  --help, --version\n"
	"Tokens are never arguments: MOCK_KUBE_TOKEN in the environment (several between commas).  Without any, "
	"everybody is\n"
	"let in.  The kubeconfig holds the first.\n\n"
	"Served: pods (status, binding), namespaces, nodes, secrets, configmaps, events, "
	"network-attachment-definitions, leases,\n"
	"events.k8s.io events (not the same objects as events), TokenReview, SubjectAccessReview, /version, /readyz.  "
	"Nothing\n"
	"plays kubelet or scheduler.\n\n";

enum {
	LISTEN = 1,
	PORT_FILE,
	CONTROL_LISTEN,
	CONTROL_PORT_FILE,
	HTTP,
	CERT,
	KEY,
	CA,
	CLIENT_CA,
	WRITE_CA,
	WRITE_KUBECONFIG,
	TOKEN_FILE,
	BEHAVE_AS,
	HISTORY,
	LOG_SIZE,
	BOOKMARK_INTERVAL,
	EXIT_WITH_PARENT,
	HELP,
	VERSION
};

static const struct option known[] = {
	{ "listen", required_argument, NULL, LISTEN },
	{ "port-file", required_argument, NULL, PORT_FILE },
	{ "control-listen", required_argument, NULL, CONTROL_LISTEN },
	{ "control-port-file", required_argument, NULL, CONTROL_PORT_FILE },
	{ "http", no_argument, NULL, HTTP },
	{ "cert", required_argument, NULL, CERT },
	{ "key", required_argument, NULL, KEY },
	{ "ca", required_argument, NULL, CA },
	{ "client-ca", required_argument, NULL, CLIENT_CA },
	{ "write-ca", required_argument, NULL, WRITE_CA },
	{ "write-kubeconfig", required_argument, NULL, WRITE_KUBECONFIG },
	{ "token-file", required_argument, NULL, TOKEN_FILE },
	{ "behave-as", required_argument, NULL, BEHAVE_AS },
	{ "history", required_argument, NULL, HISTORY },
	{ "log-size", required_argument, NULL, LOG_SIZE },
	{ "bookmark-interval", required_argument, NULL, BOOKMARK_INTERVAL },
	{ "exit-with-parent", no_argument, NULL, EXIT_WITH_PARENT },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

static const char **text_option(struct options *options, int option)
{
	switch (option) {
	case LISTEN:
		return &options->listen;
	case PORT_FILE:
		return &options->port_file;
	case CONTROL_LISTEN:
		return &options->control_listen;
	case CONTROL_PORT_FILE:
		return &options->control_port_file;
	case CERT:
		return &options->cert_file;
	case KEY:
		return &options->key_file;
	case CA:
		return &options->ca_file;
	case CLIENT_CA:
		return &options->client_ca_file;
	case WRITE_CA:
		return &options->write_ca;
	case WRITE_KUBECONFIG:
		return &options->write_kubeconfig;
	case TOKEN_FILE:
		return &options->token_file;
	case BEHAVE_AS:
		return &options->behave_as;
	default:
		return NULL;
	}
}

static int number_option(long *number, const char *text, struct error *err)
{
	char *end;

	*number = strtol(text, &end, 10);
	if (!*text || *end || *number < 1 || *number > 10000000)
		return error_set(err, ERROR_INVALID, "'%s' is no number from 1 to 10000000", text);
	return 0;
}

static int read_options(struct options *options, int argc, char **argv, struct error *err)
{
	int option, result = 0;

	while (result == 0 && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		const char **text = text_option(options, option);

		if (text)
			*text = optarg;
		else if (option == HTTP)
			options->http = true;
		else if (option == EXIT_WITH_PARENT)
			options->exit_with_parent = true;
		else if (option == HISTORY)
			result = number_option(&options->history, optarg, err);
		else if (option == LOG_SIZE)
			result = number_option(&options->log_size, optarg, err);
		else if (option == BOOKMARK_INTERVAL)
			result = number_option(&options->bookmark_seconds, optarg, err);
		else if (option == HELP) {
			printf("%s%s", help_text, mkube_control_help);
			exit(0);
		} else if (option == VERSION) {
			puts("mock-kube " UFMSYNC_VERSION);
			exit(0);
		} else {
			result = error_set(err, ERROR_INVALID, "see mock-kube --help");
		}
	}
	return result;
}

static int check_options(const struct options *options, int n_left, struct error *err)
{
	if (n_left > 0)
		return error_set(err, ERROR_INVALID, "takes options only, see mock-kube --help");
	if (!options->cert_file != !options->key_file)
		return error_set(err, ERROR_INVALID, "--cert and --key go together");
	if (options->ca_file && !options->cert_file)
		return error_set(err, ERROR_INVALID, "--ca belongs to --cert");
	if (options->http && (options->cert_file || options->client_ca_file || options->write_ca))
		return error_set(err, ERROR_INVALID, "--http and certificates exclude each other");
	if (strcmp(options->behave_as, "1.20") != 0 && strcmp(options->behave_as, "0.36") != 0)
		return error_set(err, ERROR_INVALID, "--behave-as takes 1.20 or 0.36");
	/* Whoever reaches it rules the mock. */
	if (strncmp(options->control_listen, "127.", 4) != 0 && strncmp(options->control_listen, "[::1]:", 6) != 0)
		return error_set(err, ERROR_INVALID, "--control-listen takes a loopback address only");
	return 0;
}

static int read_file(char **out, const char *path, struct error *err)
{
	FILE *file = fopen(path, "re");
	char *text = mem_alloc(FILE_MAX_BYTES);

	if (!file) {
		free(text);
		return error_set_errno(err, "open %s", path);
	}
	size_t n = fread(text, 1, FILE_MAX_BYTES - 1, file);
	bool bad = ferror(file) || !feof(file);
	fclose(file);
	if (bad) {
		free(text);
		return error_set(err, ERROR_INVALID, "%s cannot be read, or is too long", path);
	}
	text[n] = '\0';
	*out = text;
	return 0;
}

/* Whoever waits for the file sees it whole or not at all. */
static int write_file(const char *path, const char *text, struct error *err)
{
	char *temporary = mem_printf("%s.%ld", path, (long)getpid());
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		ok = close(fd) == 0 && ok;
	if (!ok || rename(temporary, path) < 0) {
		error_set_errno(err, "write %s", path);
		unlink(temporary);
		free(temporary);
		return -1;
	}
	free(temporary);
	return 0;
}

static int make_certificates(struct material *material, struct error *err)
{
	struct identity ca = { 0 };
	int result = -1;

	if (identity_new_ca(&ca, "mock-kube CA", err) == 0 &&
	    identity_issue(&material->server, &ca, "mock-kube",
			   "DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:::1", err) == 0) {
		material->ca = mem_dup(ca.cert);
		result = 0;
	}
	identity_free(&ca);
	return result;
}

static int load_certificates(struct material *material, const struct options *options, struct error *err)
{
	if (options->client_ca_file && read_file(&material->client_ca, options->client_ca_file, err) < 0)
		return -1;
	if (options->http)
		return 0;
	if (!options->cert_file)
		return make_certificates(material, err);
	if (read_file(&material->server.cert, options->cert_file, err) < 0 ||
	    read_file(&material->server.key, options->key_file, err) < 0)
		return -1;
	return read_file(&material->ca, options->ca_file ? options->ca_file : options->cert_file, err);
}

static int load_tokens(struct material *material, const struct options *options, struct error *err)
{
	const char *environment = getenv("MOCK_KUBE_TOKEN");
	char *file = NULL;
	size_t n = 0;

	if (options->token_file && read_file(&file, options->token_file, err) < 0)
		return -1;
	material->tokens = mem_printf("%s,%s", environment ? environment : "", file ? file : "");
	free(file);
	for (char *rest = material->tokens, *token; (token = strsep(&rest, ",\r\n"));) {
		if (!*token)
			continue;
		if (n == TOKENS_MAX)
			return error_set(err, ERROR_LIMIT, "more than %d tokens", TOKENS_MAX);
		material->token[n++] = token;
	}
	return 0;
}

static void material_free(struct material *material)
{
	identity_free(&material->server);
	free(material->ca);
	free(material->client_ca);
	free(material->tokens);
}

static char *base64(const char *text)
{
	size_t len = strlen(text);
	char *result = mem_alloc(len / 3 * 4 + 5);

	EVP_EncodeBlock((unsigned char *)result, (const unsigned char *)text, (int)len);
	return result;
}

static int write_kubeconfig(const struct options *options, const struct material *material, unsigned port,
			    struct error *err)
{
	char *ca = material->ca ? base64(material->ca) : NULL;
	char *text =
		mem_printf("apiVersion: v1\nkind: Config\nclusters:\n- name: mock-kube\n  cluster:\n"
			   "    server: %s://127.0.0.1:%u\n%s%s%susers:\n- name: mock-kube\n  user:%s%s%s\n"
			   "contexts:\n- name: mock-kube\n  context:\n    cluster: mock-kube\n    user: mock-kube\n"
			   "current-context: mock-kube\n",
			   options->http ? "http" : "https", port, ca ? "    certificate-authority-data: " : "",
			   ca ? ca : "", ca ? "\n" : "", material->token[0] ? "\n    token: " : " {}",
			   material->token[0] ? material->token[0] : "", "");
	int result = write_file(options->write_kubeconfig, text, err);

	free(text);
	free(ca);
	return result;
}

static int write_port(const char *path, unsigned port, struct error *err)
{
	char text[16];

	if (!path)
		return 0;
	snprintf(text, sizeof text, "%u\n", port);
	return write_file(path, text, err);
}

static int write_files(const struct options *options, const struct material *material, unsigned port,
		       unsigned control_port, struct error *err)
{
	if (options->write_ca && write_file(options->write_ca, material->ca, err) < 0)
		return -1;
	if (options->write_kubeconfig && write_kubeconfig(options, material, port, err) < 0)
		return -1;
	if (write_port(options->control_port_file, control_port, err) < 0 ||
	    write_port(options->port_file, port, err) < 0)
		return -1;
	printf("mock-kube: %s://127.0.0.1:%u, control http://127.0.0.1:%u/control\n", options->http ? "http" : "https",
	       port, control_port);
	fflush(stdout);
	return 0;
}

static void on_signal(void *aux, int signo)
{
	(void)signo;
	loop_stop(aux);
}

static int serve(struct loop *loop, const struct options *options, const struct material *material, struct error *err)
{
	struct mkube_server_options server_options = { .listen = options->listen,
						       .cert = material->server.cert,
						       .key = material->server.key,
						       .client_ca = material->client_ca,
						       .history = (size_t)options->history,
						       .log_size = (size_t)options->log_size,
						       .bookmark_ms = options->bookmark_seconds * 1000,
						       .newer = strcmp(options->behave_as, "0.36") == 0,
						       .tokens = material->token };
	struct mkube_server server;
	struct httpd *control = NULL;
	int result = -1;

	if (mkube_server_start(&server, loop, &server_options, err) < 0)
		return -1;
	if (mkube_control_start(&control, &server, options->control_listen, err) == 0 &&
	    write_files(options, material, httpd_port(server.httpd), httpd_port(control), err) == 0) {
		loop_on_signal(loop, SIGTERM, on_signal, loop);
		loop_on_signal(loop, SIGINT, on_signal, loop);
		loop_run(loop);
		result = 0;
	}
	httpd_free(control);
	mkube_server_stop(&server);
	return result;
}

int main(int argc, char **argv)
{
	struct options options = { .listen = "127.0.0.1:0",
				   .control_listen = "127.0.0.1:0",
				   .behave_as = "1.20",
				   .history = 20000,
				   .log_size = 10000,
				   .bookmark_seconds = 60 };
	struct material material = { 0 };
	struct loop *loop = NULL;
	struct error err = { 0 };
	pid_t parent = getppid();
	int status = 1;

	if (read_options(&options, argc, argv, &err) < 0 || check_options(&options, argc - optind, &err) < 0) {
		fprintf(stderr, "mock-kube: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (options.exit_with_parent && (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	if (load_certificates(&material, &options, &err) == 0 && load_tokens(&material, &options, &err) == 0 &&
	    loop_new(&loop, &err) == 0 && serve(loop, &options, &material, &err) == 0)
		status = 0;
	if (status != 0)
		fprintf(stderr, "mock-kube: %s\n", err.text);
	loop_free(loop);
	material_free(&material);
	return status;
}
