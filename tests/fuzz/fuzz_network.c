/* The config of a network definition, and the PKeys that a namespace is allowed. */
#undef NDEBUG
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "ufmsync/kube/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_network(const struct network *network)
{
	struct pkey again;

	assert((network->kind == NETWORK_UNREADABLE) == (network->problem != NULL));
	assert(network->config_name && network->uid);
	assert((network->has_pkey == NETWORK_PKEY_NONE) == (network->pkey_text == NULL));
	if (network->has_pkey == NETWORK_PKEY_VALID)
		assert(network->kind == NETWORK_IB && pkey_parse(&again, network->pkey_text) &&
		       again.v == network->pkey.v);
	if (network->has_pkey == NETWORK_PKEY_BAD)
		assert(strlen(network->pkey_text) <= 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *text = json_stringn((const char *)data, size);
	if (!text)
		return 0;
	json_t *object = json_pack("{s:{s:s,s:s,s:{s:O}},s:{s:o}}", "metadata", "namespace", "team", "name", "ib",
				   "annotations", NAMESPACE_PKEYS_KEY, text, "spec", "config", text);
	assert(object);
	struct network *network = network_from_json(object);
	assert(network);
	check_network(network);
	network_free(network);
	struct namespace_rule *rule = namespace_rule_from_json(object);
	assert(rule && (rule->has == NAMESPACE_PKEYS_SET) == (rule->allowed != NULL));
	namespace_rule_free(rule);
	json_decref(object);
	return 0;
}
