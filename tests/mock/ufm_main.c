/* mock-ufm: plays NVIDIA UFM's REST API for tests and demonstrations. */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/ufm_cert.h"
#include "tests/mock/ufm_control.h"
#include "tests/mock/ufm_server.h"
#include "tests/mock/ufm_state.h"

enum { EXIT_USAGE = 2, PEM_MAX = 1 << 20, SEED_MAX = 256 << 20, CERT_DAYS = 365 };

struct options {
	const char *listen, *port_file, *control_listen, *control_port_file;
	const char *cert_file, *key_file, *client_ca_file, *write_cert, *cert_name, *seed_file;
	int cert_days;
	bool http, exit_with_parent;
	struct ufm_switches switches;
};

/* What the options name, read or made. */
struct material {
	char *cert, *key, *client_ca, *seed;
};

static void help(void)
{
	struct buf switches;

	buf_init(&switches, 64 << 10);
	ufm_switches_help(&switches);
	printf("mock-ufm %s - plays NVIDIA UFM's REST API for tests and demonstrations\n\n"
	       "usage: mock-ufm [OPTION ...]\n"
	       "  --listen ADDRESS:PORT           127.0.0.1:0; port 0: any free one\n"
	       "  --port-file FILE                the port, written when ready\n"
	       "  --control-listen ADDRESS:PORT   127.0.0.1:0; loopback only\n"
	       "  --control-port-file FILE        its port, written when ready\n"
	       "  --http                          plain http; else https with a certificate made at the start\n"
	       "  --cert FILE --key FILE          https with these (PEM)\n"
	       "  --cert-name NAME                common name of the certificate that is made (127.0.0.1)\n"
	       "  --cert-days DAYS                its life (365); negative: it ended that long ago\n"
	       "  --write-cert FILE               writes the certificate in use, before the port\n"
	       "  --client-ca FILE                client certificates of this CA are let in under /ufmRest\n"
	       "  --seed FILE                     a state as GET /control/state gives it\n"
	       "  --switch NAME=VALUE             see below; may be repeated\n"
	       "  --exit-with-parent              ends when the process that started it ends\n"
	       "  --help, --version\n"
	       "Credentials are never arguments: MOCK_UFM_USERNAME (admin), MOCK_UFM_PASSWORD (123456),\n"
	       "MOCK_UFM_TOKEN (none) in the environment.\n\n"
	       "Switches (the first value, or the one in parentheses, is the default):\n%s\n%s",
	       UFMSYNC_VERSION, switches.data, ufm_control_help);
	buf_free(&switches);
}

static int read_options(struct options *options, int argc, char **argv, struct error *err)
{
	enum {
		LISTEN = 1,
		PORT_FILE,
		CONTROL_LISTEN,
		CONTROL_PORT_FILE,
		HTTP,
		CERT,
		KEY,
		CERT_NAME,
		CERT_DAYS_,
		WRITE_CERT,
		CLIENT_CA,
		SEED,
		SWITCH,
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
		{ "cert-name", required_argument, NULL, CERT_NAME },
		{ "cert-days", required_argument, NULL, CERT_DAYS_ },
		{ "write-cert", required_argument, NULL, WRITE_CERT },
		{ "client-ca", required_argument, NULL, CLIENT_CA },
		{ "seed", required_argument, NULL, SEED },
		{ "switch", required_argument, NULL, SWITCH },
		{ "exit-with-parent", no_argument, NULL, EXIT_WITH_PARENT },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case LISTEN:
			options->listen = optarg;
			break;
		case PORT_FILE:
			options->port_file = optarg;
			break;
		case CONTROL_LISTEN:
			options->control_listen = optarg;
			break;
		case CONTROL_PORT_FILE:
			options->control_port_file = optarg;
			break;
		case HTTP:
			options->http = true;
			break;
		case CERT:
			options->cert_file = optarg;
			break;
		case KEY:
			options->key_file = optarg;
			break;
		case CERT_NAME:
			options->cert_name = optarg;
			break;
		case CERT_DAYS_:
			options->cert_days = atoi(optarg);
			break;
		case WRITE_CERT:
			options->write_cert = optarg;
			break;
		case CLIENT_CA:
			options->client_ca_file = optarg;
			break;
		case SEED:
			options->seed_file = optarg;
			break;
		case SWITCH:
			if (ufm_switches_set_text(&options->switches, optarg, err) < 0)
				return -1;
			break;
		case EXIT_WITH_PARENT:
			options->exit_with_parent = true;
			break;
		case HELP:
			help();
			exit(0);
		case VERSION:
			puts("mock-ufm " UFMSYNC_VERSION);
			exit(0);
		default:
			return error_set(err, ERROR_INVALID, "see mock-ufm --help");
		}
	}
	return 0;
}

static int check_options(const struct options *options, int n_left, struct error *err)
{
	if (n_left > 0)
		return error_set(err, ERROR_INVALID, "takes options only, see mock-ufm --help");
	if (!options->cert_file != !options->key_file)
		return error_set(err, ERROR_INVALID, "--cert and --key go together");
	if (options->http && (options->cert_file || options->client_ca_file || options->write_cert))
		return error_set(err, ERROR_INVALID, "--http and certificates exclude each other");
	/* Whoever reaches it rules the mock, passwords included. */
	if (strncmp(options->control_listen, "127.", 4) != 0 && strncmp(options->control_listen, "[::1]:", 6) != 0)
		return error_set(err, ERROR_INVALID, "--control-listen takes a loopback address only");
	return 0;
}

static int read_file(char **out, const char *path, size_t max, struct error *err)
{
	FILE *file = fopen(path, "re");
	struct buf text;
	char chunk[65536];
	size_t n;

	if (!file)
		return error_set_errno(err, "open %s", path);
	buf_init(&text, max);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0 && buf_append(&text, chunk, n))
		;
	if (ferror(file) || text.full) {
		fclose(file);
		buf_free(&text);
		return error_set(err, ERROR_INVALID, "%s cannot be read, or is too long", path);
	}
	fclose(file);
	*out = buf_take(&text);
	return 0;
}

/* Whoever waits for the file sees it whole or not at all. */
static int write_file(const char *path, const char *text, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *temporary = mem_printf("%s.%ld", path, (long)getpid());
	FILE *file = fopen(temporary, "we");
	bool written;

	if (!file)
		return error_set_errno(err, "create %s", temporary);
	written = fputs(text, file) >= 0;
	if (fclose(file) != 0 || !written || rename(temporary, path) < 0)
		return error_set_errno(err, "write %s", path);
	return 0;
}

static int write_port(const char *path, unsigned port, struct error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%u\n", port);
	return path ? write_file(path, text, err) : 0;
}

static int gather(struct material *material, const struct options *options, struct error *err)
{
	if (options->cert_file && (read_file(&material->cert, options->cert_file, PEM_MAX, err) < 0 ||
				   read_file(&material->key, options->key_file, PEM_MAX, err) < 0))
		return -1;
	if (!options->http && !material->cert &&
	    ufm_cert_make(&material->cert, &material->key, options->cert_name, options->cert_days, err) < 0)
		return -1;
	if (options->client_ca_file && read_file(&material->client_ca, options->client_ca_file, PEM_MAX, err) < 0)
		return -1;
	if (options->seed_file && read_file(&material->seed, options->seed_file, SEED_MAX, err) < 0)
		return -1;
	return options->write_cert ? write_file(options->write_cert, material->cert, err) : 0;
}

static void material_free(struct material *material)
{
	free(material->cert);
	mem_wipe_free(material->key);
	free(material->client_ca);
	free(material->seed);
}

static int load_seed(struct ufm_server *server, const char *seed, struct error *err)
{
	__attribute__((cleanup(json_freep))) json_t *state = json_parse(seed, strlen(seed), err);

	if (!state || ufm_state_load(server->api.model, state, err) < 0)
		return error_wrap(err, "seed");
	ufm_server_touched(server);
	return 0;
}

static void on_signal(void *aux, int signo)
{
	(void)signo;
	loop_stop(aux);
}

/* Everything between having a server and running it. */
static int publish(struct ufm_server *server, struct ufm_control **control, struct loop *loop,
		   const struct options *options, const char *seed, struct error *err)
{
	if (seed && load_seed(server, seed, err) < 0)
		return -1;
	if (ufm_control_start(control, loop, options->control_listen, server, err) < 0)
		return -1;
	loop_on_signal(loop, SIGTERM, on_signal, loop);
	loop_on_signal(loop, SIGINT, on_signal, loop);
	if (write_port(options->control_port_file, ufm_control_port(*control), err) < 0 ||
	    write_port(options->port_file, httpd_port(server->httpd), err) < 0)
		return -1;
	printf("mock-ufm: %s port %u, control http port %u\n", options->http ? "http" : "https",
	       httpd_port(server->httpd), ufm_control_port(*control));
	fflush(stdout);
	return 0;
}

static const char *environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value ? value : otherwise;
}

static int serve(const struct options *options, const struct material *material, struct error *err)
{
	struct httpd_options httpd = { .listen = options->listen,
				       .cert = material->cert,
				       .key = material->key,
				       .client_ca = material->client_ca };
	struct ufm_server server = { .baseline = { .switches = options->switches,
						   .username = environment("MOCK_UFM_USERNAME", "admin"),
						   .password = environment("MOCK_UFM_PASSWORD", "123456"),
						   .token = environment("MOCK_UFM_TOKEN", NULL) } };
	struct ufm_control *control = NULL;
	struct loop *loop;
	int result;

	if (loop_new(&loop, err) < 0)
		return -1;
	result = ufm_server_start(&server, loop, &httpd, err);
	if (result == 0)
		result = publish(&server, &control, loop, options, material->seed, err);
	if (result == 0)
		loop_run(loop);
	ufm_control_stop(control);
	ufm_server_stop(&server);
	loop_free(loop);
	return result;
}

int main(int argc, char **argv)
{
	struct options options = { .listen = "127.0.0.1:0",
				   .control_listen = "127.0.0.1:0",
				   .cert_name = "127.0.0.1",
				   .cert_days = CERT_DAYS };
	struct material material = { 0 };
	pid_t parent = getppid();
	struct error err;
	int result;

	ufm_switches_init(&options.switches);
	if (read_options(&options, argc, argv, &err) < 0 || check_options(&options, argc - optind, &err) < 0) {
		fprintf(stderr, "mock-ufm: %s\n", err.text);
		return EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	if (options.exit_with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			return 0; /* it ended before we asked */
	}
	result = gather(&material, &options, &err);
	if (result == 0)
		result = serve(&options, &material, &err);
	material_free(&material);
	if (result < 0)
		fprintf(stderr, "mock-ufm: %s\n", err.text);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
