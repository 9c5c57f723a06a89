#include "ufmsync/ctl/options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/mem.h"

const struct ctl_option_row ctl_options[OPTION_COUNT] = {
	[OPTION_NAMESPACE] = { 'n', { "--namespace", "NAMESPACE", "of pods (default: the context's, else default)" } },
	[OPTION_ALL_NAMESPACES] = { 'A', { "--all-namespaces", NULL, "of all namespaces" } },
	[OPTION_OUTPUT] = { 'o', { "--output", "FORMAT", "table (default), wide, json, yaml, or name" } },
	[OPTION_NO_HEADERS] = { 0, { "--no-headers", NULL, "tables without titles" } },
	[OPTION_WATCH] = { 'w', { "--watch", NULL, "goes on, and prints what changes, until interrupted" } },
	[OPTION_KUBECONFIG] = { 0,
				{ "--kubeconfig", "FILE", "default: KUBECONFIG, ~/.kube/config, or the pod's own" } },
	[OPTION_CONTEXT] = { 0, { "--context", "NAME", "of the kubeconfig (default: its current one)" } },
	[OPTION_SERVICE_NAMESPACE] = { 0,
				       { "--service-namespace", "NAMESPACE",
					 "where the service runs (default kube-system)" } },
	[OPTION_REQUEST_TIMEOUT] = { 0,
				     { "--request-timeout", "DURATION", "of one question, such as 5s (default 30s)" } },
	[OPTION_SERVER] = { 0, { "--server", "URL", "ask the service there instead of through the API server" } },
	[OPTION_CA] = { 0, { "--ca", "FILE", "with --server: its CA, PEM (default: the system's)" } },
	[OPTION_TOKEN_FILE] = { 0, { "--token-file", "FILE", "with --server: a token of audience ufmsync" } },
	[OPTION_TLS_SERVER_NAME] = { 0,
				     { "--tls-server-name", "NAME",
				       "with --server: what its certificate is issued for (default: the URL's "
				       "host)" } },
	[OPTION_DIRECT] = { 0, { "--direct", NULL, "ask API server and fabric manager without the service" } },
	[OPTION_HELP] = { 'h', { "--help", NULL, "this text" } },
};

struct parser {
	struct ctl *ctl;
	const struct ctl_command *const *commands;
	const char *values[OPTION_COUNT]; /* "" for those that take none; NULL: not given */
	char **argv;
	int argc, at;
};

/* --- what may have been meant ----------------------------------------------------------------------------------- */

enum { WORD_MAX = 64 };

static unsigned least_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters are to be added, dropped, replaced or swapped to make one of the other. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2];
	size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= strlen(a); i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			row[j] = least_of(last[j - 1] + (a[i - 1] != b[j - 1]), least_of(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least_of(row[j], before[j - 2] + 1);
		}
		unsigned *oldest = before;
		before = last;
		last = row;
		row = oldest;
	}
	return last[n];
}

const char *ctl_nearest(const char *word, const char *const *names)
{
	const char *nearest = NULL;
	unsigned least = 0;

	if (strlen(word) > WORD_MAX)
		return NULL;
	for (size_t i = 0; names[i]; i++) {
		size_t bytes = strlen(names[i]);
		if (bytes > WORD_MAX)
			continue;
		unsigned d = distance(word, names[i]);
		bool begins = *word && strncmp(word, names[i], strlen(word)) == 0 && strlen(word) > 2;
		if (!begins && (d > 2 || 2 * d >= bytes))
			continue;
		if (!nearest || d < least) {
			nearest = names[i];
			least = d;
		}
	}
	return nearest;
}

static int unknown(struct error *err, const char *what, const char *word, const char *nearest)
{
	if (nearest)
		return error_set(err, ERROR_INVALID, "unknown %s '%.100s': is %s meant?", what, word, nearest);
	return error_set(err, ERROR_INVALID, "unknown %s '%.100s'", what, word);
}

static int unknown_command(const struct parser *parser, const char *word, struct error *err)
{
	const char *names[64];
	size_t n = 0;

	for (; parser->commands[n]; n++) {
		assert(n + 1 < array_length(names));
		names[n] = parser->commands[n]->name;
	}
	names[n] = NULL;
	return unknown(err, "command", word, ctl_nearest(word, names));
}

static int unknown_flag(const struct parser *parser, const char *word, struct error *err)
{
	const char *names[OPTION_COUNT + CTL_FLAGS_MAX + 1];
	const struct ctl_command *command = parser->ctl->command;
	size_t n = 0;
	__attribute__((cleanup(mem_freep))) char *name = mem_dup_n(word, strcspn(word, "="));

	for (; n < OPTION_COUNT; n++)
		names[n] = ctl_options[n].flag.name;
	for (size_t i = 0; command && command->flags && command->flags[i].name; i++)
		names[n++] = command->flags[i].name;
	names[n] = NULL;
	return unknown(err, "flag", name, ctl_nearest(name, names));
}

/* --- words ------------------------------------------------------------------------------------------------------ */

/* Sets *value; takes the next word where the flag needs one.  `inline_value` is what stands behind '='; NULL: nothing. */
static int take_value(struct parser *parser, const struct ctl_flag *flag, const char *inline_value, const char **value,
		      struct error *err)
{
	if (!flag->value) {
		if (inline_value && strcmp(inline_value, "true") != 0 && strcmp(inline_value, "false") != 0)
			return error_set(err, ERROR_INVALID, "%s takes no value but true and false, not '%.100s'",
					 flag->name, inline_value);
		*value = inline_value && strcmp(inline_value, "false") == 0 ? NULL : "";
		return 0;
	}
	if (!inline_value && parser->at == parser->argc)
		return error_set(err, ERROR_INVALID, "%s needs a value: %s %s", flag->name, flag->name, flag->value);
	*value = inline_value ? inline_value : parser->argv[parser->at++];
	return 0;
}

static bool is_flag(const struct ctl_flag *flag, const char *word, size_t n)
{
	return strlen(flag->name) == n && strncmp(flag->name, word, n) == 0;
}

static int take_long(struct parser *parser, const char *word, struct error *err)
{
	const struct ctl_command *command = parser->ctl->command;
	size_t n = strcspn(word, "=");
	const char *inline_value = word[n] ? word + n + 1 : NULL;

	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (is_flag(&ctl_options[i].flag, word, n))
			return take_value(parser, &ctl_options[i].flag, inline_value, &parser->values[i], err);
	for (size_t i = 0; command && command->flags && command->flags[i].name; i++)
		if (is_flag(&command->flags[i], word, n))
			return take_value(parser, &command->flags[i], inline_value, &parser->ctl->flags[i], err);
	return unknown_flag(parser, word, err);
}

static int find_letter(char letter)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (ctl_options[i].letter == letter)
			return i;
	return -1;
}

/* "-Aw", "-n NAMESPACE", "-ojson", "-o=json" */
static int take_letters(struct parser *parser, const char *word, struct error *err)
{
	for (const char *p = word + 1; *p; p++) {
		int i = find_letter(*p);
		if (i < 0)
			return error_set(err, ERROR_INVALID, "unknown flag '-%c' in '%.100s'", *p, word);
		const char *rest = p[1] == '=' ? p + 2 : p[1] && ctl_options[i].flag.value ? p + 1 : NULL;
		if (take_value(parser, &ctl_options[i].flag, rest, &parser->values[i], err) < 0)
			return -1;
		if (rest)
			return 0;
	}
	return 0;
}

static int take_word(struct parser *parser, char *word, struct error *err)
{
	struct ctl *ctl = parser->ctl;

	if (ctl->command) {
		ctl->argv[ctl->argc++] = word;
		return 0;
	}
	for (size_t i = 0; parser->commands[i]; i++)
		if (strcmp(parser->commands[i]->name, word) == 0) {
			ctl->command = parser->commands[i];
			return 0;
		}
	return unknown_command(parser, word, err);
}

static int take_all(struct parser *parser, struct error *err)
{
	bool flags = true;

	while (parser->at < parser->argc) {
		char *word = parser->argv[parser->at++];
		int status;

		if (flags && strcmp(word, "--") == 0) {
			flags = false;
			continue;
		}
		if (flags && strncmp(word, "--", 2) == 0)
			status = take_long(parser, word, err);
		else if (flags && word[0] == '-' && word[1])
			status = take_letters(parser, word, err);
		else
			status = take_word(parser, word, err);
		if (status < 0)
			return -1;
	}
	return 0;
}

/* --- what they mean --------------------------------------------------------------------------------------------- */

static int read_format(struct ctl *ctl, const char *text, struct error *err)
{
	static const char *const formats[] = { [CTL_TABLE] = "table", [CTL_WIDE] = "wide", [CTL_JSON] = "json",
					       [CTL_YAML] = "yaml",   [CTL_NAME] = "name", NULL };

	if (!text)
		return 0;
	if (ctl->command->plain)
		return error_set(err, ERROR_INVALID, "%s knows no --output", ctl->command->name);
	for (int i = 0; formats[i]; i++)
		if (strcmp(formats[i], text) == 0) {
			ctl->format = (enum ctl_format)i;
			if (i == CTL_NAME && !ctl->command->named)
				return error_set(err, ERROR_INVALID,
						 "%s knows no --output name: table, wide, json or yaml",
						 ctl->command->name);
			return 0;
		}
	return error_set(err, ERROR_INVALID, "--output '%.100s': table, wide, json, yaml or name is expected", text);
}

static int read_duration(const char *name, const char *text, int64_t *ms, struct error *err)
{
	if (!text || (duration_parse(ms, text) && *ms > 0))
		return 0;
	return error_set(err, ERROR_INVALID, "%s '%.100s': a duration is expected, such as 5s or 2m", name, text);
}

static int read_way(struct ctl *ctl, const char *const *values, struct error *err)
{
	static const enum ctl_option with_server[] = { OPTION_CA, OPTION_TOKEN_FILE, OPTION_TLS_SERVER_NAME };
	struct reach_options *reach = &ctl->reach_options;

	for (size_t i = 0; i < array_length(with_server); i++)
		if (values[with_server[i]] && !values[OPTION_SERVER])
			return error_set(err, ERROR_INVALID, "%s belongs to --server URL, which is not given",
					 ctl_options[with_server[i]].flag.name);
	if (values[OPTION_SERVER] && values[OPTION_DIRECT])
		return error_set(err, ERROR_INVALID, "--server and --direct are two ways: choose one");
	if (values[OPTION_SERVER] && !values[OPTION_TOKEN_FILE])
		return error_set(err, ERROR_INVALID,
				 "--server needs --token-file FILE: kubectl -n NAMESPACE create token ufmsync-reader "
				 "--audience ufmsync > FILE");
	reach->way = values[OPTION_SERVER] ? REACH_SERVER : values[OPTION_DIRECT] ? REACH_DIRECT : REACH_PROXY;
	reach->server = values[OPTION_SERVER];
	reach->ca_file = values[OPTION_CA];
	reach->token_file = values[OPTION_TOKEN_FILE];
	reach->tls_name = values[OPTION_TLS_SERVER_NAME];
	reach->kubeconfig = values[OPTION_KUBECONFIG];
	reach->context = values[OPTION_CONTEXT];
	reach->service_namespace = values[OPTION_SERVICE_NAMESPACE];
	return read_duration("--request-timeout", values[OPTION_REQUEST_TIMEOUT], &reach->timeout_ms, err);
}

static int check_arguments(const struct ctl *ctl, struct error *err)
{
	const struct ctl_command *command = ctl->command;

	if ((unsigned)ctl->argc < command->least)
		return error_set(err, ERROR_INVALID, "%s needs %s", command->name, command->arguments);
	if ((unsigned)ctl->argc > command->most)
		return error_set(err, ERROR_INVALID, "%s: '%.100s' is too much: it takes %s", command->name,
				 ctl->argv[command->most], command->most > 0 ? command->arguments : "no argument");
	return 0;
}

static int read_values(struct ctl *ctl, const char *const *values, struct error *err)
{
	/* An empty value would silently mean another default than what was thought of. */
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (ctl_options[i].flag.value && values[i] && !*values[i])
			return error_set(err, ERROR_INVALID, "%s: the value is empty", ctl_options[i].flag.name);
	if (values[OPTION_NAMESPACE] && values[OPTION_ALL_NAMESPACES])
		return error_set(err, ERROR_INVALID, "--namespace and --all-namespaces contradict each other");
	if (values[OPTION_WATCH] && !ctl->command->watches)
		return error_set(err, ERROR_INVALID, "%s knows no --watch", ctl->command->name);
	ctl->namespace = values[OPTION_NAMESPACE];
	ctl->all_namespaces = values[OPTION_ALL_NAMESPACES] != NULL;
	ctl->no_headers = values[OPTION_NO_HEADERS] != NULL;
	ctl->watch = values[OPTION_WATCH] != NULL;
	ctl->yes = ctl_flag(ctl, "--yes") != NULL;
	ctl->dry_run = ctl_flag(ctl, "--dry-run") != NULL;
	if (read_duration("--timeout", ctl_flag(ctl, "--timeout"), &ctl->timeout_ms, err) < 0 ||
	    read_format(ctl, values[OPTION_OUTPUT], err) < 0 || read_way(ctl, values, err) < 0)
		return -1;
	return check_arguments(ctl, err);
}

const char *ctl_flag(const struct ctl *ctl, const char *name)
{
	const struct ctl_flag *flags = ctl->command->flags;

	for (size_t i = 0; flags && flags[i].name; i++)
		if (strcmp(flags[i].name, name) == 0)
			return ctl->flags[i];
	return NULL;
}

int ctl_options_parse(struct ctl *ctl, bool *help, int argc, char **argv, const struct ctl_command *const *commands,
		      struct error *err)
{
	struct parser parser = { .ctl = ctl, .commands = commands, .argv = argv, .argc = argc, .at = 1 };

	ctl->argv = mem_array((size_t)argc + 1, sizeof *ctl->argv);
	if (take_all(&parser, err) < 0)
		return -1;
	*help = parser.values[OPTION_HELP] != NULL;
	if (*help || !ctl->command)
		return 0;
	return read_values(ctl, parser.values, err);
}

void ctl_options_free(struct ctl *ctl)
{
	free(ctl->argv);
	ctl->argv = NULL;
}
