#include "cni/plugin/plugin.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "cni/plugin/attach.h"
#include "cni/plugin/monotonic.h"
#include "cni/plugin/plugin_call.h"

/* --- shared -------------------------------------------------------------------------------------------------------- */

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void plugin_log_call(const struct plugin_call *call, const char *command, const char *outcome,
		     const struct cni_error *err)
{
	const struct environment *environment = &call->environment;
	const struct plugin_log_line line = {
		.now_ms = wall_ms(),
		.command = command,
		.outcome = outcome,
		.container = environment->container_id,
		.interface = environment->interface,
		.pod_namespace = environment->pod_namespace,
		.pod_name = environment->pod_name,
		.network = call->conf.name,
		.delegate = call->conf.delegate_type,
		.guid = call->guid,
		.pkey = call->pkey,
		.message = err ? err->message : NULL,
		.code = err ? err->code : 0,
		.waited_ms = call->waited_ms,
		.took_ms = monotonic_ms() - call->began_ms,
	};

	plugin_log(call->log, &line);
}

static const char *command_of(const struct plugin_call *call)
{
	return environment_command_name(call->environment.command);
}

int plugin_fail(const struct plugin_call *call, const struct cni_error *err)
{
	plugin_log_call(call, command_of(call), "failed", err);
	cni_error_print(call->out, call->conf.version, err);
	return 1;
}

int plugin_pass_through(const struct plugin_call *call, const struct delegate_result *result, const char *outcome)
{
	const char *type = call->conf.delegate_type;
	struct cni_error err;

	if (result->signal) {
		cni_fail(&err, CNI_IO_FAILURE, "the plugin %s was killed by signal %d (%s)", type, result->signal,
			 strsignal(result->signal));
		cni_fail_details(&err, "Look into the node's journal: a crash of %s, or too little memory", type);
		return plugin_fail(call, &err);
	}
	if (result->status != 0 && result->output.len == 0) {
		cni_fail(&err, CNI_IO_FAILURE, "the plugin %s failed with exit status %d and said nothing", type,
			 result->status);
		cni_fail_details(&err, "Look into the log of the container runtime: what %s wrote to stderr is there",
				 type);
		return plugin_fail(call, &err);
	}
	plugin_log_call(call, command_of(call), result->status == 0 ? outcome : "the delegate failed", NULL);
	fwrite(result->output.data, 1, result->output.len, call->out);
	return result->status;
}

/* --- the node file ------------------------------------------------------------------------------------------------- */

int plugin_load_node(struct plugin_call *call, struct node_file *node, struct cni_error *err)
{
	const char *path = environment_get(call->variables, NODE_FILE_VARIABLE);

	if (node_file_load(node, path && *path ? path : NODE_FILE_DEFAULT, err) < 0)
		return -1;
	free(call->log);
	free(call->sysfs);
	call->log = mem_dup(node->log);
	call->sysfs = mem_dup(node->sysfs);
	return 0;
}

/* What does without the service is logged as well, where there is a node file that says so. */
static void find_log(struct plugin_call *call)
{
	struct node_file node;
	struct cni_error err;

	if (plugin_load_node(call, &node, &err) == 0)
		node_file_free(&node);
}

/* --- the other commands -------------------------------------------------------------------------------------------- */

/* DEL, CHECK and GC. */
static int pass_on(const struct plugin_call *call)
{
	struct delegate_result result;
	struct cni_error err;
	char *binary = delegate_find(call->conf.delegate_type, call->environment.path, &err);

	if (!binary)
		return plugin_fail(call, &err);
	char *config = netconf_for_delegate(&call->conf, NULL);
	int ran = delegate_run(&result, binary, NULL, config, &err);
	free(config);
	free(binary);
	if (ran < 0)
		return plugin_fail(call, &err);
	int status = plugin_pass_through(call, &result, "passed on");
	delegate_result_free(&result);
	return status;
}

static int tell_status(struct plugin_call *call)
{
	struct node_file node;
	struct cni_error err;

	if (plugin_load_node(call, &node, &err) < 0)
		return plugin_fail(call, &err);
	char *binary = delegate_find(call->conf.delegate_type, call->environment.path, &err);
	int ready = binary ? attach_probe(&node, &err) : -1;
	free(binary);
	node_file_free(&node);
	/* Runtimes ask every few seconds: only what is wrong is logged. */
	return ready < 0 ? plugin_fail(call, &err) : 0;
}

/* The version that the runtime speaks, if it tells. */
static void print_versions(FILE *out, const char *text, size_t len)
{
	struct error why;
	json_t *config = json_parse(text, len, &why);
	const char *said = json_str(config, "cniVersion", NULL);
	bool plausible = said && *said && strlen(said) < 32 && strspn(said, "0123456789.") == strlen(said);

	fprintf(out, "{\"cniVersion\":\"%s\",\"supportedVersions\":[", plausible ? said : "1.1.0");
	for (const char *const *version = netconf_versions; *version; version++)
		fprintf(out, "%s\"%s\"", version == netconf_versions ? "" : ",", *version);
	fputs("]}\n", out);
	json_decref(config);
}

/* --- one call ------------------------------------------------------------------------------------------------------ */

static int read_stdin(struct buf *config, int in, struct cni_error *err)
{
	char bytes[16 * 1024];
	ssize_t n;

	while ((n = read(in, bytes, sizeof bytes)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cni_fail(err, CNI_IO_FAILURE, "cannot read the network configuration from stdin: %s",
					strerror(errno));
		if (!buf_append(config, bytes, (size_t)n))
			return cni_fail(err, CNI_UNDECODABLE,
					"the network configuration on stdin is larger than %d bytes", NETCONF_MAX);
	}
	return 0;
}

/* As the reference library has it. */
static int check_version(const struct plugin_call *call, struct cni_error *err)
{
	enum cni_command command = call->environment.command;
	const char *least = command == CNI_CHECK ? "0.4.0" : command == CNI_GC || command == CNI_STATUS ? "1.1.0" : "0";

	if (netconf_version_is(&call->conf, least))
		return 0;
	return cni_fail(err, CNI_INCOMPATIBLE_VERSION, "config version %s does not allow %s: that came with %s",
			call->conf.version, command_of(call), least);
}

static int run_command(struct plugin_call *call)
{
	struct cni_error err;

	if (check_version(call, &err) < 0)
		return plugin_fail(call, &err);
	switch (call->environment.command) {
	case CNI_ADD:
		return plugin_add(call);
	case CNI_STATUS:
		return tell_status(call);
	case CNI_DEL:
	case CNI_CHECK:
	case CNI_GC:
	case CNI_VERSION:
		break;
	}
	find_log(call);
	return pass_on(call);
}

/* No ADD was ever let through with such a definition, so there is nothing to undo; and a runtime that gets an error says
 * DEL again with what it kept of the definition, however that was corrected since: the pod would stay for ever. */
static bool nothing_to_undo(const struct plugin_call *call, const struct cni_error *err)
{
	return call->environment.command == CNI_DEL &&
	       (err->code == CNI_UNDECODABLE || err->code == CNI_INCOMPATIBLE_VERSION ||
		err->code == CNI_INVALID_CONFIG);
}

static int refuse_config(struct plugin_call *call, const struct cni_error *err)
{
	find_log(call);
	if (!nothing_to_undo(call, err))
		return plugin_fail(call, err);
	plugin_log_call(call, "DEL", "nothing to undo", err);
	return 0;
}

static int run_with_config(struct plugin_call *call, const char *text, size_t len)
{
	struct cni_error err;

	if (call->environment.command == CNI_VERSION) {
		print_versions(call->out, text, len);
		return 0;
	}
	return netconf_parse(&call->conf, text, len, &err) == 0 ? run_command(call) : refuse_config(call, &err);
}

int plugin_run(char *const *variables, int in, FILE *out)
{
	struct plugin_call call = { .variables = variables, .out = out, .began_ms = monotonic_ms(), .waited_ms = -1 };
	struct cni_error err;
	struct buf config;
	int status;

	if (environment_read(&call.environment, variables, &err) < 0) {
		cni_error_print(out, NULL, &err);
		return 1;
	}
	buf_init(&config, NETCONF_MAX);
	/* A person who tries VERSION by hand need not type a config. */
	bool wanted = call.environment.command != CNI_VERSION || !isatty(in);
	if (wanted && read_stdin(&config, in, &err) < 0)
		status = refuse_config(&call, &err);
	else
		status = run_with_config(&call, config.data, config.len);
	buf_free(&config);
	netconf_free(&call.conf);
	environment_free(&call.environment);
	free(call.log);
	free(call.sysfs);
	free(call.guid);
	free(call.pkey);
	return status;
}
