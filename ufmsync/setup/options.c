#include "ufmsync/setup/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/dns_name.h"
#include "base/duration.h"
#include "base/flags.h"
#include "base/mem.h"

#define PREFIX "UFMSYNC_SETUP_"

static const struct flag table[] = {
	[SETUP_OPTION_NAMESPACE] = { "namespace", "POD_NAMESPACE", "kube-system", "a namespace",
				     "where the service, the Secrets and the ConfigMap are" },
	[SETUP_OPTION_ONLY] = { "only", PREFIX "ONLY", "record-key,certificate",
				"record-key, certificate, trust, or several with commas",
				"what is looked after; trust: of a certificate that somebody else makes" },
	[SETUP_OPTION_SERVICE] = { "service", PREFIX "SERVICE", "ufmsync", "the name of a Service",
				   "which the certificate is for" },
	[SETUP_OPTION_CLUSTER_DOMAIN] = { "cluster-domain", PREFIX "CLUSTER_DOMAIN", "cluster.local", "a DNS name",
					  "of the cluster, for the certificate's longest name" },
	[SETUP_OPTION_NAMES] = { "names", PREFIX "NAMES", NULL, "DNS names with commas",
				 "further names of the certificate" },
	[SETUP_OPTION_DAYS] = { "days", PREFIX "DAYS", "365", "1 to 825", "how long a new certificate is valid" },
	[SETUP_OPTION_INTERVAL] = { "interval", PREFIX "INTERVAL", "10m", "a duration: 10m",
				    "with --stay, between two looks at everything" },
	[SETUP_OPTION_TIMEOUT] = { "timeout", PREFIX "TIMEOUT", "2m", "a duration: 2m",
				   "without --stay, how long it is tried while the API server is away" },
	[SETUP_OPTION_KUBECONFIG] = { "kubeconfig", "KUBECONFIG", NULL, "a file",
				      "how to reach the API server from outside a cluster" },
	[SETUP_OPTION_LOG_LEVEL] = { "log-level", PREFIX "LOG_LEVEL", "info", "debug, info, warn or error",
				     "what is logged" },
	[SETUP_OPTION_LOG_FORMAT] = { "log-format", PREFIX "LOG_FORMAT", "auto", "auto, text or json",
				      "auto: text on a terminal, else JSON" },
};
_Static_assert(array_length(table) == SETUP_OPTION_COUNT, "each option has its row");

static const struct flags flags = { table, SETUP_OPTION_COUNT, PREFIX };

#define DIGITS "0123456789"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum {
	NAMES_MAX = 32, /* further ones */
	OWN_NAMES = 4,
	DAYS_DIGITS = 3,
	DAYS_MAX = 825, /* more is not believed by every client, and a third of a CA's life is longer */
};

static int bad(enum setup_option option, const char *value, struct error *err)
{
	return flags_refuse(&table[option], value, err);
}

/* --- where a value comes from ----------------------------------------------------------------------------------- */

static bool take_word(struct setup_options *options, const char *word)
{
	static const struct {
		const char *word;
		enum setup_how how;
	} words[] = {
		{ "--once", SETUP_ONCE },       { "--stay", SETUP_STAY }, { "--check", SETUP_CHECK },
		{ "--dry-run", SETUP_DRY_RUN }, { "--help", SETUP_HELP }, { "-h", SETUP_HELP },
		{ "--version", SETUP_VERSION },
	};

	for (size_t i = 0; i < array_length(words); i++)
		if (strcmp(word, words[i].word) == 0) {
			options->how = words[i].how;
			return true;
		}
	return false;
}

static int read_arguments(struct setup_options *options, const char *const *argv, struct error *err)
{
	for (int i = argv[0] ? 1 : 0; argv[i];) {
		int took = take_word(options, argv[i]) ? 1 : flags_take(&flags, &argv[i], options->text, err);
		if (took < 0)
			return -1;
		i += took;
	}
	return 0;
}

/* --- what is accepted ------------------------------------------------------------------------------------------- */

static bool is_name(const char *text, size_t n, bool dots)
{
	return dns_name_is_valid(text, n) && strcspn(text, dots ? UPPER : UPPER ".") >= n;
}

static int check_name(const struct setup_options *options, enum setup_option option, bool dots, struct error *err)
{
	const char *text = options->text[option];

	return is_name(text, strlen(text), dots) ? 0 : bad(option, text, err);
}

static bool take_part(bool parts[SETUP_PARTS], const char *word, size_t n)
{
	static const char *const words[] = {
		[SETUP_PART_KEY] = "record-key", [SETUP_PART_CERTIFICATE] = "certificate", [SETUP_PART_TRUST] = "trust"
	};

	for (int i = 0; i < SETUP_PARTS; i++)
		if (strlen(words[i]) == n && memcmp(words[i], word, n) == 0) {
			parts[i] = true;
			return true;
		}
	return false;
}

static int read_parts(struct setup_options *options, struct error *err)
{
	const char *text = options->text[SETUP_OPTION_ONLY];

	for (const char *word = text;; word++) {
		size_t n = strcspn(word, ",");
		if (!take_part(options->wish.parts, word, n))
			return bad(SETUP_OPTION_ONLY, text, err);
		word += n;
		if (!*word)
			return 0;
	}
}

static int read_days(struct setup_options *options, struct error *err)
{
	const char *text = options->text[SETUP_OPTION_DAYS];
	size_t n = strlen(text);

	if (n <= DAYS_DIGITS && strspn(text, DIGITS) == n && *text != '0')
		options->wish.days = (unsigned)strtoul(text, NULL, 10);
	return options->wish.days > 0 && options->wish.days <= DAYS_MAX ? 0 : bad(SETUP_OPTION_DAYS, text, err);
}

static int read_duration(const struct setup_options *options, enum setup_option option, int64_t *ms, struct error *err)
{
	return duration_parse(ms, options->text[option]) && *ms > 0 ? 0 : bad(option, options->text[option], err);
}

static int read_log(struct setup_options *options, struct error *err)
{
	const char *level = options->text[SETUP_OPTION_LOG_LEVEL], *format = options->text[SETUP_OPTION_LOG_FORMAT];

	if (!log_level_parse(&options->log_level, level))
		return bad(SETUP_OPTION_LOG_LEVEL, level, err);
	return flags_read_log_format(&table[SETUP_OPTION_LOG_FORMAT], format, &options->log_format, err);
}

/* --- names of the certificate ------------------------------------------------------------------------------------ */

/* Once each; takes the name. */
static void add_name(struct setup_options *options, char *name)
{
	for (size_t i = 0; i < options->wish.n_names; i++)
		if (strcmp(options->names[i], name) == 0) {
			free(name);
			return;
		}
	options->names[options->wish.n_names++] = name;
}

static int add_further_names(struct setup_options *options, struct error *err)
{
	const char *text = options->text[SETUP_OPTION_NAMES];

	for (const char *name = text; name; name++) {
		size_t n = strcspn(name, ",");
		if (!is_name(name, n, true) || options->wish.n_names == NAMES_MAX + OWN_NAMES)
			return bad(SETUP_OPTION_NAMES, text, err);
		add_name(options, mem_dup_n(name, n));
		name += n;
		if (!*name)
			return 0;
	}
	return 0;
}

static int read_names(struct setup_options *options, struct error *err)
{
	const char *namespace = options->text[SETUP_OPTION_NAMESPACE], *service = options->text[SETUP_OPTION_SERVICE];

	if (check_name(options, SETUP_OPTION_NAMESPACE, false, err) < 0 ||
	    check_name(options, SETUP_OPTION_SERVICE, false, err) < 0 ||
	    check_name(options, SETUP_OPTION_CLUSTER_DOMAIN, true, err) < 0)
		return -1;
	options->names = mem_array(NAMES_MAX + OWN_NAMES, sizeof *options->names);
	add_name(options, mem_printf("%s.%s.svc", service, namespace));
	add_name(options, mem_printf("%s.%s.svc.%s", service, namespace, options->text[SETUP_OPTION_CLUSTER_DOMAIN]));
	add_name(options, mem_printf("%s.%s", service, namespace));
	add_name(options, mem_dup(service));
	if (add_further_names(options, err) < 0)
		return -1;
	options->wish.namespace = namespace;
	options->wish.names = (const char *const *)options->names;
	return 0;
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

static int check(struct setup_options *options, struct error *err)
{
	if (read_parts(options, err) < 0 || read_names(options, err) < 0 || read_days(options, err) < 0 ||
	    read_duration(options, SETUP_OPTION_INTERVAL, &options->interval_ms, err) < 0 ||
	    read_duration(options, SETUP_OPTION_TIMEOUT, &options->timeout_ms, err) < 0 || read_log(options, err) < 0)
		return -1;
	return 0;
}

int setup_options_parse(struct setup_options *options, const char *const *argv, const char *const *environ,
			struct error *err)
{
	*options = (struct setup_options){ .how = SETUP_ONCE };
	if (read_arguments(options, argv, err) < 0)
		return -1;
	if (options->how == SETUP_HELP || options->how == SETUP_VERSION)
		return 0;
	if (flags_read_environment(&flags, environ, options->text, err) < 0)
		return -1;
	if (check(options, err) == 0)
		return 0;
	setup_options_free(options);
	return -1;
}

void setup_options_free(struct setup_options *options)
{
	for (size_t i = 0; i < options->wish.n_names; i++)
		free(options->names[i]);
	free(options->names);
	options->names = NULL;
	options->wish = (struct setup_wish){ 0 };
}

void setup_options_help(FILE *out)
{
	fputs("ufmsync-setup " UFMSYNC_VERSION
	      " - makes what ufmsyncd needs in its namespace, and keeps it fresh: the key that signs\n"
	      "records, and certificate and CA of the https port\n\n"
	      "usage: ufmsync-setup [--once] [OPTION ...]     makes what is missing, renews what is old, and ends\n"
	      "       ufmsync-setup --stay [OPTION ...]       and looks again, until SIGTERM\n"
	      "       ufmsync-setup --check [OPTION ...]      changes nothing: what is there, until when, what is due\n"
	      "       ufmsync-setup --dry-run [OPTION ...]    changes nothing: says what would be done\n"
	      "       ufmsync-setup --help | --version\n\n"
	      "Each option is a flag or an environment variable; a flag wins.\n\n",
	      out);
	flags_print(&flags, out);
	fputs("\nexit codes: 0 done, all is as it should be, or (--stay) ended by SIGTERM; 1 failed, ended by SIGTERM\n"
	      "before it was done, or somebody has to act: the message says how; 2 bad option; 4 (--check) something "
	      "is\n"
	      "to be made, renewed or waited for\n",
	      out);
}
