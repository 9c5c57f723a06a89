#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cni/plugin/attach.h"
#include "cni/plugin/monotonic.h"
#include "cni/plugin/plugin_call.h"
#include "cni/plugin/verify.h"

/* ADD: the steps in their order, each with what the one before found. */
struct adding {
	struct plugin_call *call;
	char *binary; /* the delegate */
	struct attach_answer answer;
};

static int ask(struct adding *adding, const struct node_file *node, struct cni_error *err)
{
	struct plugin_call *call = adding->call;
	const struct environment *environment = &call->environment;
	const struct attach_question question = {
		.pod_namespace = environment->pod_namespace,
		.pod_name = environment->pod_name,
		.pod_uid = environment->pod_uid,
		.interface = environment->interface,
		.network_name = call->conf.name,
		.container_id = environment->container_id,
		.node = node->node,
		.guid_hint = call->conf.guid_hint,
		.pkey = call->conf.pkey,
	};
	int64_t before_ms = monotonic_ms();
	int asked = attach_ask(node, &question, &adding->answer, err);

	call->waited_ms = monotonic_ms() - before_ms;
	if (asked < 0)
		return -1;
	call->guid = mem_dup(adding->answer.guid);
	call->pkey = mem_dup(adding->answer.pkey);
	return 0;
}

/* All that can be wrong on our side is found before the service is asked. */
static int prepare_and_ask(struct adding *adding, struct cni_error *err)
{
	struct plugin_call *call = adding->call;
	struct node_file node;

	if (plugin_load_node(call, &node, err) < 0)
		return -1;
	int asked = -1;
	if (netconf_read_verify(&call->conf, err) == 0 &&
	    (!call->conf.verify || verify_check(call->sysfs, call->conf.device, err) == 0) &&
	    (adding->binary = delegate_find(call->conf.delegate_type, call->environment.path, err)))
		asked = ask(adding, &node, err);
	node_file_free(&node); /* the token is not needed any more */
	return asked;
}

/* A runtime, or multus, that was killed while the service was waited for reads no result any more: it, or its successor,
 * has said DEL by now, and what were attached after that nobody would ever take away. */
static int check_heard(const struct plugin_call *call, struct cni_error *err)
{
	struct pollfd out = { .fd = fileno(call->out) }; /* an error is always told */

	if (poll(&out, 1, 0) <= 0 || !(out.revents & (POLLERR | POLLHUP)))
		return 0;
	return cni_fail(err, CNI_IO_FAILURE, "whoever started this ADD is gone: nothing was attached");
}

static int run_delegate(const struct adding *adding, struct delegate_result *result, struct cni_error *err)
{
	const struct netconf_given given = { .guid = adding->answer.guid, .pkey = adding->answer.pkey };
	char *config = netconf_for_delegate(&adding->call->conf, &given);
	int ran = delegate_run(result, adding->binary, NULL, config, err);

	free(config);
	return ran;
}

/* Its outcome changes nothing: the runtime gets the error for which it is undone, and will send a DEL besides. */
static void undo(const struct adding *adding, const struct delegate_result *added)
{
	const struct plugin_call *call = adding->call;
	char *config = netconf_for_undo(&call->conf, added->output.data, added->output.len);
	struct delegate_result result;
	struct cni_error err;

	if (delegate_run(&result, adding->binary, "DEL", config, &err) < 0) {
		plugin_log_call(call, "DEL", "could not undo ADD", &err);
	} else {
		plugin_log_call(call, "DEL", result.status == 0 ? "undid ADD" : "could not undo ADD", NULL);
		delegate_result_free(&result);
	}
	free(config);
}

static int verify(const struct adding *adding, const struct delegate_result *result, struct cni_error *err)
{
	const struct plugin_call *call = adding->call;

	if (!call->conf.verify || result->status != 0)
		return 0;
	return verify_wait(call->sysfs, call->conf.device, call->environment.netns, &adding->answer,
			   call->conf.verify_timeout_ms, err);
}

static int add(struct adding *adding)
{
	struct plugin_call *call = adding->call;
	struct delegate_result result;
	struct cni_error err;
	int status;

	if (prepare_and_ask(adding, &err) < 0 || check_heard(call, &err) < 0 || run_delegate(adding, &result, &err) < 0)
		return plugin_fail(call, &err);
	if (verify(adding, &result, &err) < 0) {
		undo(adding, &result);
		status = plugin_fail(call, &err);
	} else {
		status = plugin_pass_through(call, &result, "attached");
	}
	delegate_result_free(&result);
	return status;
}

int plugin_add(struct plugin_call *call)
{
	struct adding adding = { .call = call };
	int status = add(&adding);

	free(adding.binary);
	attach_answer_free(&adding.answer);
	return status;
}
