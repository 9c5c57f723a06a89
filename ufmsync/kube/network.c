#include "ufmsync/kube/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/kube/json_text.h"

enum { PKEY_TEXT_CUT = 64, RULE_TEXT_CUT = 256 };

static bool is_text(const json_t *value, const char *text)
{
	const char *string = json_str(value, NULL);

	return string && strcmp(string, text) == 0;
}

static bool is_ours(const json_t *plugin)
{
	const json_t *type = json_at(plugin, "type", NULL);

	return is_text(type, "ib-sriov") || is_text(type, "ufmsync");
}

/* The plugin of ours in a flat config or a conflist, or NULL. */
static const json_t *find_plugin(const json_t *config)
{
	const json_t *plugins = json_at(config, "plugins", NULL);

	for (size_t i = 0; i < json_array_size(plugins); i++) {
		const json_t *plugin = json_array_get(plugins, i);
		if (is_ours(plugin))
			return plugin;
	}
	return !json_is_array(plugins) && is_ours(config) ? config : NULL;
}

static void unreadable(struct network *network, const char *why)
{
	network->kind = NETWORK_UNREADABLE;
	free(network->problem);
	network->problem = mem_dup(why);
}

/* What type ufmsync wraps: an ib-sriov config of its own, or the fields beside it. */
static const json_t *find_delegate(struct network *network, const json_t *plugin)
{
	const json_t *delegate = json_at(plugin, "delegate", NULL);
	const json_t *type = json_at(delegate, "type", NULL);

	if (is_text(delegate, "ib-sriov"))
		return plugin;
	if (json_is_object(delegate) && (!type || is_text(type, "ib-sriov")))
		return delegate;
	unreadable(network, "spec.config: type ufmsync needs \"delegate\": an ib-sriov configuration, or \"ib-sriov\"");
	return NULL;
}

static void bad_pkey(struct network *network, const char *text)
{
	network->has_pkey = NETWORK_PKEY_BAD;
	network->pkey_text = json_text_cut(text, strlen(text), PKEY_TEXT_CUT);
}

static void read_pkey_string(struct network *network, const json_t *value)
{
	const char *text = json_str(value, NULL);

	if (!text) {
		bad_pkey(network, "(a text with a NUL)");
	} else if (*text) {
		if (!pkey_parse(&network->pkey, text)) {
			bad_pkey(network, text);
			return;
		}
		network->has_pkey = NETWORK_PKEY_VALID;
		network->pkey_text = mem_dup(text);
	}
}

static void read_pkey(struct network *network, const json_t *value)
{
	if (!value || json_is_null(value))
		return;
	if (json_is_string(value)) {
		read_pkey_string(network, value);
		return;
	}
	__attribute__((cleanup(mem_freep))) char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	if (json_is_integer(value) && pkey_from_number(&network->pkey, json_integer_value(value))) {
		network->has_pkey = NETWORK_PKEY_VALID;
		network->pkey_text = mem_dup(text);
	} else {
		bad_pkey(network, text ? text : "(unprintable)");
	}
}

static void read_plugin(struct network *network, const json_t *plugin)
{
	const json_t *inner = plugin;
	bool wrapped = is_text(json_at(plugin, "type", NULL), "ufmsync");

	if (wrapped && !(inner = find_delegate(network, plugin)))
		return;
	network->kind = NETWORK_IB;
	const json_t *pkey = json_at(inner, "pkey", NULL);
	read_pkey(network, pkey ? pkey : json_at(plugin, "pkey", NULL));
	network->runtime_guid = json_bool(plugin, false, "capabilities", "infinibandGUID", NULL) ||
				json_bool(inner, false, "capabilities", "infinibandGUID", NULL);
	network->gated = wrapped || json_bool(inner, false, "ibKubernetesEnabled", NULL);
}

static void read_config(struct network *network, const char *text)
{
	struct error err;
	json_t *config = json_parse(text, strlen(text), &err);

	if (!config) {
		error_wrap(&err, "spec.config");
		unreadable(network, err.text);
		return;
	}
	const char *name = json_str(config, "name", NULL);
	if (name && *name) {
		free(network->config_name);
		network->config_name = mem_dup(name);
	}
	const json_t *plugin = find_plugin(config);
	if (!json_is_object(config))
		unreadable(network, "spec.config: JSON, but not an object");
	else if (plugin)
		read_plugin(network, plugin);
	json_decref(config);
}

struct network *network_from_json(const json_t *object)
{
	const char *namespace = json_str(object, "metadata", "namespace", NULL);
	const char *name = json_str(object, "metadata", "name", NULL);
	const json_t *config = json_at(object, "spec", "config", NULL);

	if (!namespace || !name || !*namespace || !*name)
		return NULL;
	struct network *network = mem_alloc(sizeof *network);
	network->namespace = mem_dup(namespace);
	network->name = mem_dup(name);
	const char *uid = json_str(object, "metadata", "uid", NULL);
	network->uid = mem_dup(uid ? uid : "");
	network->config_name = mem_dup(name);
	const char *text = json_str(config, NULL);
	if (text && *text)
		read_config(network, text);
	else if (config && !json_is_null(config) && !text)
		unreadable(network, "spec.config: not a text");
	return network;
}

void network_free(struct network *network)
{
	if (!network)
		return;
	free(network->namespace);
	free(network->name);
	free(network->uid);
	free(network->problem);
	free(network->pkey_text);
	free(network->config_name);
	free(network);
}

static void read_rule(struct namespace_rule *rule, const json_t *annotation)
{
	const char *text = json_str(annotation, NULL);

	if (!annotation)
		return;
	rule->has = NAMESPACE_PKEYS_BAD;
	rule->text = text ? json_text_cut(text, strlen(text), RULE_TEXT_CUT) : mem_dup("(not a text)");
	if (!text)
		return;
	rule->allowed = mem_alloc(sizeof *rule->allowed);
	if (pkey_set_parse(rule->allowed, text, NULL)) {
		rule->has = NAMESPACE_PKEYS_SET;
	} else {
		free(rule->allowed);
		rule->allowed = NULL;
	}
}

struct namespace_rule *namespace_rule_from_json(const json_t *object)
{
	const char *name = json_str(object, "metadata", "name", NULL);

	if (!name || !*name)
		return NULL;
	struct namespace_rule *rule = mem_alloc(sizeof *rule);
	rule->name = mem_dup(name);
	read_rule(rule, json_at(object, "metadata", "annotations", NAMESPACE_PKEYS_KEY, NULL));
	return rule;
}

void namespace_rule_free(struct namespace_rule *rule)
{
	if (!rule)
		return;
	free(rule->name);
	free(rule->allowed);
	free(rule->text);
	free(rule);
}
