#include "cni/installer/options.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/dns_name.h"
#include "base/duration.h"
#include "base/flags.h"
#include "base/mem.h"

#define PREFIX "UFMSYNC_CNI_"

static const struct flag table[] = {
	[OPTION_SERVER] = { "server", PREFIX "SERVER", NULL,
			    "HOST:PORT, the host a name or an address ([fd00::1]:8443)",
			    "where the service is; a name is resolved here, the node gets an address" },
	[OPTION_SERVER_NAME] = { "server-name", PREFIX "SERVER_NAME", NULL, "a name or an address",
				 "what the service's certificate is issued for (default: the host of --server)" },
	[OPTION_NODE] = { "node", "NODE_NAME", NULL, "a node's name, lower case",
			  "told to the service with each request" },
	[OPTION_LOG] = { "log", PREFIX "LOG", NULL, "syslog, or an absolute path on the node",
			 "where the plugin logs (default: nowhere)" },
	[OPTION_TIMEOUT] = { "timeout", PREFIX "TIMEOUT", NULL, "100ms to 10m, with its unit",
			     "how long the plugin waits for an attach (default: its own)" },
	[OPTION_CONNECT_TIMEOUT] = { "connect-timeout", PREFIX "CONNECT_TIMEOUT", NULL, "100ms to 10m, with its unit",
				     "how long it tries a service that cannot be reached (default: its own)" },
	[OPTION_PLUGIN] = { "plugin", PREFIX "PLUGIN", "/usr/lib/cni/ufmsync", "an absolute path",
			    "the plugin's binary in our image" },
	[OPTION_CA] = { "ca", PREFIX "CA", "/run/ufmsync/ca/ca.crt", "an absolute path",
			"the CA of the service's certificate, PEM" },
	[OPTION_TOKEN] = { "token", PREFIX "TOKEN", "/run/ufmsync/token/token", "an absolute path",
			   "file with a service account token of audience ufmsync" },
	[OPTION_HOST_BIN] = { "host-bin", PREFIX "HOST_BIN", "/host/opt/cni/bin", "an absolute path",
			      "where the node's folder of CNI plugins is mounted" },
	[OPTION_HOST_CONF] = { "host-conf", PREFIX "HOST_CONF", "/host/etc/cni/net.d", "an absolute path",
			       "where the node's /etc/cni/net.d is mounted" },
	[OPTION_INTERVAL] = { "interval", PREFIX "INTERVAL", "10s", "a duration: 10s",
			      "between two looks at everything" },
	[OPTION_RESOLVE_INTERVAL] = { "resolve-interval", PREFIX "RESOLVE_INTERVAL", "60s", "a duration: 1m",
				      "after which the name of the service is resolved anew" },
	[OPTION_LOG_LEVEL] = { "log-level", PREFIX "LOG_LEVEL", "info", "debug, info, warn or error",
			       "what is logged here" },
	[OPTION_LOG_FORMAT] = { "log-format", PREFIX "LOG_FORMAT", "auto", "auto, text or json",
				"auto: text on a terminal, else JSON" },
};
_Static_assert(array_length(table) == OPTION_COUNT, "each option has its row");

static const struct flags flags = { table, OPTION_COUNT, PREFIX };

static int bad(enum option option, const char *value, struct error *err)
{
	return flags_refuse(&table[option], value, err);
}

/* --- where a value comes from ----------------------------------------------------------------------------------- */

/* A word without a value; *said: one of those that say how. */
static bool take_word(struct options *options, const char *word, bool *said)
{
	static const struct {
		const char *word;
		enum options_how how;
	} words[] = {
		{ "--once", OPTIONS_ONCE }, { "--stay", OPTIONS_FOREVER }, { "--check", OPTIONS_CHECK },
		{ "--help", OPTIONS_HELP }, { "-h", OPTIONS_HELP },        { "--version", OPTIONS_VERSION },
	};

	for (size_t i = 0; i < array_length(words); i++)
		if (strcmp(word, words[i].word) == 0) {
			options->how = words[i].how;
			*said = true;
			return true;
		}
	if (strcmp(word, "--remove") != 0)
		return false;
	options->remove = true;
	return true;
}

static int read_arguments(struct options *options, const char *const *argv, struct error *err)
{
	bool said = false;

	for (int i = argv[0] ? 1 : 0; argv[i];) {
		int took = take_word(options, argv[i], &said) ? 1 : flags_take(&flags, &argv[i], options->text, err);
		if (took < 0)
			return -1;
		i += took;
	}
	if (options->remove && !said)
		options->how = OPTIONS_ONCE;
	return 0;
}

/* --- what is accepted ------------------------------------------------------------------------------------------- */

static bool only(const char *text, size_t n, const char *characters)
{
	return n > 0 && strspn(text, characters) >= n;
}

#define DIGITS "0123456789"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum { PORT_DIGITS = 5, ADDRESS_LENGTH = 64 };

static bool is_ipv6(const char *text, size_t n)
{
	char copy[ADDRESS_LENGTH] = "";
	struct in6_addr address;

	if (n >= sizeof copy)
		return false;
	memcpy(copy, text, n);
	return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool is_port(const char *text)
{
	size_t n = strlen(text);

	return n <= PORT_DIGITS && only(text, n, DIGITS) && *text != '0' && strtol(text, NULL, 10) <= 65535;
}

static int read_server(struct options *options, struct error *err)
{
	const char *text = options->text[OPTION_SERVER];

	if (!text)
		return error_set(err, ERROR_INVALID, "--server (%s) is not set: it takes %s",
				 table[OPTION_SERVER].variable, table[OPTION_SERVER].accepted);
	const char *colon = strrchr(text, ':');
	if (!colon || !is_port(colon + 1))
		return bad(OPTION_SERVER, text, err);
	size_t n = (size_t)(colon - text);
	bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
	if (brackets ? !is_ipv6(text + 1, n - 2) : !dns_name_is_valid(text, n))
		return bad(OPTION_SERVER, text, err);
	options->host = brackets ? mem_dup_n(text + 1, n - 2) : mem_dup_n(text, n);
	options->port = mem_dup(colon + 1);
	return 0;
}

static int read_names(struct options *options, struct error *err)
{
	const char *server_name = options->text[OPTION_SERVER_NAME], *node = options->text[OPTION_NODE];

	if (server_name && !dns_name_is_valid(server_name, strlen(server_name)) &&
	    !is_ipv6(server_name, strlen(server_name)))
		return bad(OPTION_SERVER_NAME, server_name, err);
	if (node && (!dns_name_is_valid(node, strlen(node)) || strcspn(node, UPPER) < strlen(node)))
		return bad(OPTION_NODE, node, err);
	if (!server_name)
		options->text[OPTION_SERVER_NAME] = options->host;
	return 0;
}

static int read_paths(const struct options *options, struct error *err)
{
	static const enum option paths[] = { OPTION_PLUGIN, OPTION_CA, OPTION_TOKEN, OPTION_HOST_BIN,
					     OPTION_HOST_CONF };
	const char *log = options->text[OPTION_LOG];

	for (size_t i = 0; i < array_length(paths); i++)
		if (options->text[paths[i]][0] != '/' || strlen(options->text[paths[i]]) >= PATH_MAX)
			return bad(paths[i], options->text[paths[i]], err);
	if (log && strcmp(log, "syslog") != 0 &&
	    (*log != '/' || log[strlen(log) - 1] == '/' || strlen(log) >= PATH_MAX))
		return bad(OPTION_LOG, log, err);
	return 0;
}

static int read_interval(const struct options *options, enum option option, int64_t *ms, struct error *err)
{
	const char *text = options->text[option];

	return duration_parse(ms, text) && *ms > 0 ? 0 : bad(option, text, err);
}

/* The plugin's own: a unit is part of it. */
static int read_timeout(const struct options *options, enum option option, struct error *err)
{
	const int64_t least = 100, most = INT64_C(10) * 60 * 1000;
	const char *text = options->text[option];
	int64_t ms;

	if (!text || (strspn(text, DIGITS) < strlen(text) && duration_parse(&ms, text) && ms >= least && ms <= most))
		return 0;
	return bad(option, text, err);
}

static int read_log(struct options *options, struct error *err)
{
	const char *level = options->text[OPTION_LOG_LEVEL], *format = options->text[OPTION_LOG_FORMAT];

	if (!log_level_parse(&options->log_level, level))
		return bad(OPTION_LOG_LEVEL, level, err);
	return flags_read_log_format(&table[OPTION_LOG_FORMAT], format, &options->log_format, err);
}

static int check(struct options *options, struct error *err)
{
	if (!options->remove && (read_server(options, err) < 0 || read_names(options, err) < 0))
		return -1;
	if (read_paths(options, err) < 0 || read_log(options, err) < 0 ||
	    read_interval(options, OPTION_INTERVAL, &options->interval_ms, err) < 0 ||
	    read_interval(options, OPTION_RESOLVE_INTERVAL, &options->resolve_ms, err) < 0 ||
	    read_timeout(options, OPTION_TIMEOUT, err) < 0 || read_timeout(options, OPTION_CONNECT_TIMEOUT, err) < 0)
		return -1;
	return 0;
}

int options_parse(struct options *options, const char *const *argv, const char *const *environ, struct error *err)
{
	*options = (struct options){ .how = OPTIONS_FOREVER };
	if (read_arguments(options, argv, err) < 0)
		return -1;
	if (options->how == OPTIONS_HELP || options->how == OPTIONS_VERSION)
		return 0;
	if (flags_read_environment(&flags, environ, options->text, err) < 0)
		return -1;
	if (check(options, err) == 0)
		return 0;
	options_free(options);
	return -1;
}

void options_free(struct options *options)
{
	free(options->host);
	free(options->port);
	options->host = options->port = NULL;
}

void options_help(FILE *out)
{
	fputs("ufmsync-cni-install " UFMSYNC_VERSION
	      " - puts the CNI plugin and what it needs on a node, and keeps it fresh\n\n"
	      "usage: ufmsync-cni-install [OPTION ...]            for ever, until SIGTERM\n"
	      "       ufmsync-cni-install --once [OPTION ...]     once\n"
	      "       ufmsync-cni-install --check [OPTION ...]    changes nothing: is the node up to date?\n"
	      "       ufmsync-cni-install --remove [--stay | --check] [OPTION ...]\n"
	      "                            takes everything away (and waits for SIGTERM), or: is everything gone?\n"
	      "       ufmsync-cni-install --help | --version\n\n"
	      "Each option is a flag or an environment variable; a flag wins.\n\n",
	      out);
	flags_print(&flags, out);
	fputs("\nexit codes: 0 done, up to date or ended by SIGTERM; 1 failed or not up to date; 2 bad option\n", out);
}
