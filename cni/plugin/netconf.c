#include "cni/plugin/netconf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/json.h"
#include "base/mem.h"
#include "cni/plugin/lookalike.h"
#include "guid/guid.h"

#define DELEGATE_DEFAULT "ib-sriov"

enum { VERIFY_TIMEOUT_MS = 20 * 1000, VERIFY_TIMEOUT_MAX_MS = 5 * 60 * 1000, WORD_MAX = 253, PKEY_TEXT_MOST = 8 };

const char *const netconf_versions[] = { "0.3.1", "0.4.0", "1.0.0", "1.1.0", NULL };

/* Read here, and none of the delegate's business. */
static const char *const ours[] = { "type", "delegate", "verify", "verifyTimeout", NULL };
/* Whose value beside the delegate is the runtime's or multus', and wins. */
static const char *const injected[] = { "cniVersion",
					"name",
					"prevResult",
					"deviceID",
					"pciBusID",
					"runtimeConfig",
					"args",
					"cni.dev/valid-attachments",
					"cni.dev/attachments",
					NULL };
static const char *const args_names[] = { "cni", NULL };
static const char *const cni_names[] = { "guid", "pkey", "mellanox.infiniband.app", NULL };
static const char *const runtime_names[] = { "infinibandGUID", NULL };

static bool is_one_of(const char *key, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(key, *names) == 0)
			return true;
	return false;
}

/* The specification's rule for a network's name; good for a plugin's as well, which names a file. */
static bool is_word(const char *text)
{
	static const char letters_and_digits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return text && strspn(text, letters_and_digits) > 0 && !text[strspn(text, word)] && strlen(text) <= WORD_MAX;
}

/* --- what the delegate gets --------------------------------------------------------------------------------------- */

/* An object's copy, or an empty one. */
static json_t *copy_of(const json_t *object)
{
	json_t *copy = json_is_object(object) ? json_deep_copy(object) : json_object();

	assert(copy); /* out of memory */
	return copy;
}

static void hand_on(json_t *delegate, const char *key, json_t *value)
{
	json_t *own = json_object_get(delegate, key);

	if (own && (json_is_null(value) || !is_one_of(key, injected)))
		return;
	if (json_is_object(own) && json_is_object(value) && strcmp(key, "prevResult") != 0)
		json_object_update_recursive(own, value);
	else
		json_object_set_new(delegate, key, json_deep_copy(value));
}

static void drop_values_not_text(json_t *object)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value) if (!json_is_string(value)) json_object_del(object, key);
}

/* The object there, or NULL and no such member any more. */
static json_t *object_or_nothing(json_t *parent, const char *key)
{
	json_t *value = json_object_get(parent, key);

	if (json_is_object(value))
		return value;
	json_object_del(parent, key);
	return NULL;
}

static void clean(json_t *delegate)
{
	lookalike_drop(delegate, injected);
	lookalike_drop(delegate, ours);
	lookalike_drop(object_or_nothing(delegate, "runtimeConfig"), runtime_names);
	json_t *args = object_or_nothing(delegate, "args");
	lookalike_drop(args, args_names);
	json_t *cni = args ? object_or_nothing(args, "cni") : NULL;
	lookalike_drop(cni, cni_names);
	drop_values_not_text(cni);
}

static json_t *make_delegate(const json_t *config, const json_t *own, const char *type)
{
	json_t *delegate = copy_of(own);
	const char *key;
	json_t *value;

	json_object_set_new(delegate, "type", json_string(type));
	json_object_foreach((json_t *)config, key, value) if (!is_one_of(key, ours)) hand_on(delegate, key, value);
	clean(delegate);
	return delegate;
}

static char *print(const json_t *config)
{
	char *text = json_dumps(config, JSON_COMPACT);

	assert(text); /* out of memory */
	return text;
}

static json_t *object_in(json_t *parent, const char *key)
{
	if (!json_object_get(parent, key))
		json_object_set_new(parent, key, json_object());
	return json_object_get(parent, key);
}

static void give(json_t *delegate, const struct netconf_given *given)
{
	json_t *cni = object_in(object_in(delegate, "args"), "cni");

	json_object_set_new(cni, "guid", json_string(given->guid));
	json_object_del(cni, "pkey");
	if (given->pkey)
		json_object_set_new(cni, "pkey", json_string(given->pkey));
	json_object_set_new(cni, "mellanox.infiniband.app", json_string("configured"));
	json_object_set_new(object_in(delegate, "runtimeConfig"), "infinibandGUID", json_string(given->guid));
}

char *netconf_for_delegate(const struct netconf *conf, const struct netconf_given *given)
{
	if (!given)
		return print(conf->delegate);
	json_t *delegate = copy_of(conf->delegate);
	give(delegate, given);
	char *text = print(delegate);
	json_decref(delegate);
	return text;
}

char *netconf_for_undo(const struct netconf *conf, const char *result, size_t len)
{
	struct error why;
	json_t *added = netconf_version_is(conf, "0.4.0") ? json_parse(result, len, &why) : NULL;
	json_t *delegate = copy_of(conf->delegate);
	const char *version = json_str(added, "cniVersion", NULL);

	/* A result without version is of the config's; a prevResult without one is refused, so runtimes fill it in. */
	if (json_is_object(added) && (!version || !*version))
		json_object_set_new(added, "cniVersion", json_string(conf->version));
	if (json_is_object(added))
		json_object_set(delegate, "prevResult", added);
	char *text = print(delegate);
	json_decref(delegate);
	json_decref(added);
	return text;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static int read_version(struct netconf *conf, const json_t *config, struct cni_error *err)
{
	const json_t *value = json_at(config, "cniVersion", NULL);
	const char *said = value ? json_str(value, NULL) : "";
	const char *text = said && !*said ? "0.1.0" : said; /* what its absence means; Multus makes "" of that */

	if (!text)
		return cni_fail(err, CNI_UNDECODABLE, "cniVersion: must be a text");
	for (const char *const *version = netconf_versions; *version; version++)
		if (strcmp(text, *version) == 0)
			conf->version = *version;
	if (conf->version)
		return 0;
	return cni_fail(err, CNI_INCOMPATIBLE_VERSION, "cniVersion %.40s%s: accepted are 0.3.1, 0.4.0, 1.0.0 and 1.1.0",
			text, *said ? "" : " (as none is given)");
}

bool netconf_version_is(const struct netconf *conf, const char *least)
{
	/* All known ones have numbers of one digit. */
	return strcmp(conf->version, least) >= 0;
}

static int read_type(const char **type, const json_t *delegate, struct cni_error *err)
{
	const json_t *said = json_is_object(delegate) ? json_at(delegate, "type", NULL) : delegate;

	if (!json_is_object(delegate) && !json_is_string(delegate)) {
		cni_fail(err, CNI_INVALID_CONFIG, "delegate: %s",
			 delegate ? "must be an object or the name of a plugin" : "is missing");
		return cni_fail_details(err,
					"A network of type ufmsync needs \"delegate\": an ib-sriov configuration, or "
					"\"ib-sriov\" with its fields beside it");
	}
	*type = said ? json_str(said, NULL) : DELEGATE_DEFAULT;
	if (!is_word(*type))
		return cni_fail(err, CNI_INVALID_CONFIG, "%s: must be the bare name of a CNI plugin, such as ib-sriov",
				json_is_object(delegate) ? "delegate.type" : "delegate");
	if (strcmp(*type, "ufmsync") == 0 || strcmp(*type, "ufmsync-cni") == 0)
		return cni_fail(err, CNI_INVALID_CONFIG, "delegate: must be another plugin than %s itself", *type);
	return 0;
}

static const char *read_hint(const json_t *delegate)
{
	const char *runtime = json_str(delegate, "runtimeConfig", "infinibandGUID", NULL);
	const char *argument = json_str(delegate, "args", "cni", "guid", NULL);
	const char *text = runtime && *runtime ? runtime : argument;
	struct guid guid;

	return text && guid_parse(&guid, text) ? text : NULL;
}

/* As it stands there: the service reads it.  What is no PKey by its looks is not worth sending. */
static char *read_pkey(const json_t *delegate)
{
	const json_t *value = json_object_get(delegate, "pkey");
	const char *text = json_str(value, NULL);

	if (json_is_integer(value))
		return mem_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return mem_dup(text && strlen(text) <= PKEY_TEXT_MOST ? text : "");
}

static int read_config(struct netconf *conf, const json_t *config, struct cni_error *err)
{
	const json_t *own = json_at(config, "delegate", NULL);
	const char *type = NULL;

	if (!json_is_object(config))
		return cni_fail(err, CNI_UNDECODABLE, "the network configuration is JSON, but not an object");
	if (read_version(conf, config, err) < 0)
		return -1;
	if (!is_word(json_str(config, "name", NULL)))
		return cni_fail(err, CNI_INVALID_CONFIG,
				"name: must be a text of up to %d letters, digits, '_', '.' and '-', the first a "
				"letter or digit",
				WORD_MAX);
	if (read_type(&type, own, err) < 0)
		return -1;
	conf->delegate = make_delegate(config, own, type);
	conf->name = json_str(conf->delegate, "name", NULL);
	conf->delegate_type = json_str(conf->delegate, "type", NULL);
	conf->device = json_str(conf->delegate, "deviceID", NULL);
	conf->guid_hint = read_hint(conf->delegate);
	conf->pkey = read_pkey(conf->delegate);
	conf->verify_said = json_incref(json_at(config, "verify", NULL));
	conf->verify_timeout_said = json_incref(json_at(config, "verifyTimeout", NULL));
	return 0;
}

int netconf_parse(struct netconf *conf, const char *text, size_t len, struct cni_error *err)
{
	struct error why;

	*conf = (struct netconf){ .version = NULL };
	if (len > NETCONF_MAX)
		return cni_fail(err, CNI_UNDECODABLE, "the network configuration is larger than %d bytes", NETCONF_MAX);
	json_t *config = json_parse(text, len, &why);
	if (!config)
		return cni_fail(err, CNI_UNDECODABLE, "the network configuration on stdin is %s", why.text);
	int result = read_config(conf, config, err);
	json_decref(config);
	return result;
}

int netconf_read_verify(struct netconf *conf, struct cni_error *err)
{
	const char *timeout = json_str(conf->verify_timeout_said, NULL);

	conf->verify_timeout_ms = VERIFY_TIMEOUT_MS;
	/* In the delegate object it would only be off, and whoever wrote it there believes that it is on. */
	if (json_object_get(conf->delegate, "verify") || json_object_get(conf->delegate, "verifyTimeout"))
		return cni_fail(err, CNI_INVALID_CONFIG,
				"verify and verifyTimeout must stand beside delegate, not inside of it");
	if (conf->verify_said && !json_is_boolean(conf->verify_said))
		return cni_fail(err, CNI_INVALID_CONFIG, "verify: must be true or false");
	if (conf->verify_timeout_said &&
	    (!timeout || !duration_parse(&conf->verify_timeout_ms, timeout) || conf->verify_timeout_ms <= 0 ||
	     conf->verify_timeout_ms > VERIFY_TIMEOUT_MAX_MS))
		return cni_fail(err, CNI_INVALID_CONFIG,
				"verifyTimeout: must be a text such as \"20s\", at most \"5m\"");
	conf->verify = json_is_true(conf->verify_said);
	return 0;
}

void netconf_free(struct netconf *conf)
{
	free(conf->pkey);
	json_decref(conf->delegate);
	json_decref(conf->verify_said);
	json_decref(conf->verify_timeout_said);
	*conf = (struct netconf){ .version = NULL };
}
