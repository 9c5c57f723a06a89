/* Reads a NetworkAttachmentDefinition (JSON) on stdin, and says as JSON how the service reads it; with --plugin a CNI
 * configuration, and what the plugin hands to its delegate. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "cni/plugin/netconf.h"
#include "ufmsync/kube/network.h"

static void read_stdin(struct buf *buf)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
		buf_append(buf, chunk, (size_t)n);
}

static int service(const struct buf *in)
{
	static const char *const kinds[] = {
		[NETWORK_OTHER] = "other", [NETWORK_IB] = "ib", [NETWORK_UNREADABLE] = "unreadable"
	};
	struct error err;
	__attribute__((cleanup(json_freep))) json_t *object = json_parse(in->data, in->len, &err);
	struct network *network = network_from_json(object);

	if (!network) {
		fputs("no network definition\n", stderr);
		return EXIT_FAILURE;
	}
	json_t *out = json_pack("{s:s, s:s?, s:b, s:b, s:s, s:s?, s:i}", "kind", kinds[network->kind], "pkeyText",
				network->pkey_text, "gated", network->gated, "runtimeGuid", network->runtime_guid,
				"configName", network->config_name, "problem", network->problem, "pkey",
				network->has_pkey == NETWORK_PKEY_VALID ? (int)network->pkey.v : 0);
	json_dumpf(out, stdout, JSON_COMPACT);
	json_decref(out);
	network_free(network);
	return EXIT_SUCCESS;
}

static int plugin(const struct buf *in)
{
	const struct netconf_given given = { .guid = "02:00:00:00:00:00:00:07", .pkey = "0x5" };
	struct netconf conf;
	struct cni_error err;

	if (netconf_parse(&conf, in->data, in->len, &err) < 0 || netconf_read_verify(&conf, &err) < 0) {
		fprintf(stderr, "%u: %s\n", err.code, err.message);
		return EXIT_FAILURE;
	}
	char *delegate = netconf_for_delegate(&conf, &given);
	printf("{\"verify\":%s,\"verifyTimeout\":%lld,\"delegateType\":\"%s\",\"delegate\":%s}",
	       conf.verify ? "true" : "false", (long long)conf.verify_timeout_ms, conf.delegate_type, delegate);
	free(delegate);
	netconf_free(&conf);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct buf in;

	buf_init(&in, 1 << 20);
	read_stdin(&in);
	int code = argc > 1 && strcmp(argv[1], "--plugin") == 0 ? plugin(&in) : service(&in);
	buf_free(&in);
	return code;
}
