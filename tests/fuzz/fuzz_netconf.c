/* The network configuration on the plugin's stdin, and what the delegate gets of it.  The service reads the same definition:
 * both must take the same ones for ib-sriov, and find the same PKey in them. */
#undef NDEBUG
#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cni/plugin/netconf.h"
#include "ufmsync/kube/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct netconf_given given = { .guid = "02:00:00:00:00:00:00:1a", .pkey = "0x5" };

/* ib-sriov reads a map of texts, and Go looks keys up without their case: there must be one of each only. */
static unsigned spelled_like(json_t *object, const char *name)
{
	const char *key;
	json_t *value;
	unsigned n = 0;

	json_object_foreach(object, key, value) n += strcasecmp(key, name) == 0;
	return n;
}

static json_t *check_config(const struct netconf *conf, char *text)
{
	struct error err;
	json_t *config = json_parse(text, strlen(text), &err);
	const char *key;
	json_t *value;

	assert(json_is_object(config));
	assert(strcmp(json_str(config, "type", NULL), conf->delegate_type) == 0);
	assert(strcmp(json_str(config, "name", NULL), conf->name) == 0);
	assert(strcmp(json_str(config, "cniVersion", NULL), conf->version) == 0);
	assert(spelled_like(config, "args") <= 1 && spelled_like(config, "runtimeConfig") <= 1);
	assert(spelled_like(json_at(config, "args", NULL), "cni") <= 1);
	assert(spelled_like(json_at(config, "runtimeConfig", NULL), "infinibandGUID") <= 1);
	json_object_foreach(json_at(config, "args", "cni", NULL), key, value) assert(json_is_string(value));
	free(text);
	return config;
}

static void check(const struct netconf *conf)
{
	assert(conf->delegate_type && *conf->delegate_type && !strchr(conf->delegate_type, '/'));
	assert(strcmp(conf->delegate_type, "ufmsync") != 0);
	char *passed_on = netconf_for_delegate(conf, NULL);
	json_decref(check_config(conf, passed_on));
	json_t *config = check_config(conf, netconf_for_delegate(conf, &given));
	assert(strcmp(json_str(config, "runtimeConfig", "infinibandGUID", NULL), given.guid) == 0);
	assert(strcmp(json_str(config, "args", "cni", "guid", NULL), given.guid) == 0);
	assert(strcmp(json_str(config, "args", "cni", "pkey", NULL), given.pkey) == 0);
	assert(strcmp(json_str(config, "args", "cni", "mellanox.infiniband.app", NULL), "configured") == 0);
	json_decref(config);
	json_decref(check_config(conf, netconf_for_undo(conf, "{}", 2)));
}

static bool is_pkey(const struct network *network, const json_t *pkey)
{
	const char *text = json_str(pkey, NULL);
	char number[32];

	if (json_is_integer(pkey)) {
		snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(pkey));
		text = number;
	}
	switch (network->has_pkey) {
	case NETWORK_PKEY_NONE:
		return !pkey || json_is_null(pkey) || (text && !*text);
	case NETWORK_PKEY_VALID:
		return text && strcmp(text, network->pkey_text) == 0;
	case NETWORK_PKEY_BAD:
		return pkey && !json_is_null(pkey);
	}
	return false;
}

/* `conf`: NULL where the plugin refused it, for what it says of the delegate. */
static void compare(const struct netconf *conf, const uint8_t *data, size_t size)
{
	struct error err;
	json_t *config = json_parse((const char *)data, size, &err);
	/* A list reaches the plugin one by one; and that it is started says that the type is its own. */
	if (!json_is_object(config) || json_at(config, "plugins", NULL)) {
		json_decref(config);
		return;
	}
	json_object_set_new(config, "type", json_string("ufmsync"));
	char *definition = json_dumps(config, JSON_COMPACT);
	json_t *object = json_pack("{s:{s:s,s:s},s:{s:s}}", "metadata", "namespace", "team", "name", "ib", "spec",
				   "config", definition);
	free(definition);
	json_decref(config);
	struct network *network = network_from_json(object);
	assert(network);
	bool ib_sriov = conf && strcmp(conf->delegate_type, "ib-sriov") == 0;
	assert(ib_sriov == (network->kind == NETWORK_IB));
	if (ib_sriov)
		assert(is_pkey(network, json_at(conf->delegate, "pkey", NULL)));
	network_free(network);
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netconf conf;
	struct cni_error err;

	if (netconf_parse(&conf, (const char *)data, size, &err) == 0) {
		check(&conf);
		compare(&conf, data, size);
		if (netconf_read_verify(&conf, &err) == 0)
			assert(conf.verify_timeout_ms > 0);
		else
			assert(err.code == CNI_INVALID_CONFIG);
	} else {
		assert(err.code == CNI_UNDECODABLE || err.code == CNI_INCOMPATIBLE_VERSION ||
		       err.code == CNI_INVALID_CONFIG);
		assert(*err.message);
		/* What it refuses for its delegate, the service does not take for one either. */
		if (strncmp(err.message, "delegate", strlen("delegate")) == 0)
			compare(NULL, data, size);
	}
	netconf_free(&conf);
	return 0;
}
