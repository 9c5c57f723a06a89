#include "ufmsync/config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/mem.h"

enum { ATTACH_TIMEOUT_MAX_MS = 5 * 60 * 1000, ATTACH_WAITING_MAX = 100 * 1000 };

static int duration(const struct settings *settings, enum setting id, int64_t least, int64_t *ms, struct error *err)
{
	if (!duration_parse(ms, settings_get(settings, id)))
		return settings_bad(settings, id, NULL, err);
	if (*ms < least)
		return settings_bad(settings, id, "too short", err);
	return 0;
}

/* One of `words` (ends with NULL), as its number. */
static int choice(const struct settings *settings, enum setting id, const char *const *words, struct error *err)
{
	const char *value = settings_get(settings, id);

	for (int i = 0; value && words[i]; i++)
		if (strcmp(value, words[i]) == 0)
			return i;
	return settings_bad(settings, id, NULL, err);
}

static int boolean(const struct settings *settings, enum setting id, bool *out, struct error *err)
{
	static const char *const words[] = { "false", "true", "False", "True", "FALSE", "TRUE", "0", "1", NULL };
	int word = choice(settings, id, words, err);

	if (word < 0)
		return -1;
	*out = word % 2 == 1;
	return 0;
}

static int read_pool(struct config *config, struct error *err)
{
	struct settings *settings = config->settings;
	struct guid first, last;

	if (!guid_parse_any(&first, settings_get(settings, SETTING_GUID_POOL_RANGE_START)) || !guid_usable(first))
		return settings_bad(settings, SETTING_GUID_POOL_RANGE_START, NULL, err);
	if (!guid_parse_any(&last, settings_get(settings, SETTING_GUID_POOL_RANGE_END)) || !guid_usable(last))
		return settings_bad(settings, SETTING_GUID_POOL_RANGE_END, NULL, err);
	if (last.v < first.v)
		return settings_bad(settings, SETTING_GUID_POOL_RANGE_END, "the range is reversed", err);
	if (!settings_is_set(settings, SETTING_GUID_POOL_RANGE_START) ||
	    !settings_is_set(settings, SETTING_GUID_POOL_RANGE_END))
		settings_add_notice(
			settings,
			"GUID_POOL_RANGE_START and GUID_POOL_RANGE_END are not both set: the default range is in use, "
			"and every cluster of a fabric needs one of its own");
	config->engine.first = first;
	config->engine.last = last;
	return 0;
}

static int read_pkeys(struct config *config, struct error *err)
{
	struct settings *settings = config->settings;
	const char *limited = settings_get(settings, SETTING_DEFAULT_LIMITED_PARTITION), *bad = "";

	if (!pkey_set_parse(&config->engine.pkeys, settings_get(settings, SETTING_UFM_PKEY_RANGE), &bad)) {
		char why[64];
		snprintf(why, sizeof why, "wrong from '%.32s' on", bad);
		return settings_bad(settings, SETTING_UFM_PKEY_RANGE, why, err);
	}
	if (!limited)
		return 0;
	if (!pkey_parse(&config->engine.limited, limited))
		return settings_bad(settings, SETTING_DEFAULT_LIMITED_PARTITION, NULL, err);
	if (!pkey_set_has(&config->engine.pkeys, config->engine.limited))
		return settings_bad(settings, SETTING_DEFAULT_LIMITED_PARTITION, "it is outside UFM_PKEY_RANGE", err);
	return 0;
}

static char **split_names(const char *text)
{
	size_t n = 0;
	char **names = mem_array(strlen(text) / 2 + 2, sizeof *names);

	while (*text) {
		size_t skip = strspn(text, ", \t"), len = strcspn(text + skip, ", \t");
		if (len > 0)
			names[n++] = mem_dup_n(text + skip, len);
		text += skip + len;
	}
	return names;
}

static int read_policy(struct config *config, struct error *err)
{
	static const char *const policies[] = { "namespace", "annotated", "any", NULL };
	static const char *const adopts[] = { "record", "annotation", NULL };
	static const char *const gates[] = { "member", "assigned", NULL };
	static const char *const orphans[] = { "brake", "remove", "keep", NULL };
	struct settings *settings = config->settings;
	struct engine_options *engine = &config->engine;
	int policy = choice(settings, SETTING_UFMSYNC_PKEY_POLICY, policies, err);
	int adopt = policy < 0 ? -1 : choice(settings, SETTING_UFMSYNC_ADOPT, adopts, err);
	int gate = adopt < 0 ? -1 : choice(settings, SETTING_UFMSYNC_GATE, gates, err);
	int orphan = gate < 0 ? -1 : choice(settings, SETTING_UFMSYNC_ORPHANS, orphans, err);

	if (orphan < 0)
		return -1;
	engine->policy = (enum engine_policy)policy;
	engine->adopt = adopt == 1;
	engine->gate = (enum engine_gate)gate;
	engine->orphans = (enum engine_orphans)orphan;
	if (engine->policy == ENGINE_POLICY_ANY)
		settings_add_notice(settings,
				    "UFMSYNC_PKEY_POLICY=any: any namespace may join any partition that some network "
				    "definition names");
	config->shared_namespaces = split_names(settings_get(settings, SETTING_UFMSYNC_SHARED_NETWORK_NAMESPACES));
	engine->shared_namespaces = (const char *const *)config->shared_namespaces;
	return 0;
}

static int read_times(struct config *config, struct error *err)
{
	struct settings *settings = config->settings;
	struct engine_options *engine = &config->engine;
	struct lease_times *lease = &config->lease;

	if (duration(settings, SETTING_UFMSYNC_GUID_REST, 0, &engine->rest_ms, err) < 0 ||
	    duration(settings, SETTING_UFMSYNC_GUID_REST_UNSURE, 0, &engine->rest_unsure_ms, err) < 0 ||
	    duration(settings, SETTING_UFMSYNC_ORPHAN_GRACE, 0, &engine->orphan_grace_ms, err) < 0 ||
	    duration(settings, SETTING_UFMSYNC_GATHER, 0, &engine->gather_ms, err) < 0 ||
	    duration(settings, SETTING_UFMSYNC_AUDIT_INTERVAL, 1000, &engine->audit_ms, err) < 0 ||
	    duration(settings, SETTING_UFMSYNC_LEASE_DURATION, 1000, &lease->duration_ms, err) < 0 ||
	    duration(settings, SETTING_UFMSYNC_LEASE_RENEW_DEADLINE, 500, &lease->renew_deadline_ms, err) < 0 ||
	    duration(settings, SETTING_UFMSYNC_LEASE_RETRY, 100, &lease->retry_ms, err) < 0)
		return -1;
	if (lease->duration_ms % 1000 != 0)
		return settings_bad(settings, SETTING_UFMSYNC_LEASE_DURATION, "a Lease counts whole seconds", err);
	if (lease->renew_deadline_ms >= lease->duration_ms)
		return settings_bad(settings, SETTING_UFMSYNC_LEASE_RENEW_DEADLINE, NULL, err);
	if (lease->retry_ms >= lease->renew_deadline_ms)
		return settings_bad(settings, SETTING_UFMSYNC_LEASE_RETRY, NULL, err);
	if (config->plugin == CONFIG_PLUGIN_OPENSM)
		return 0; /* its own */
	if (duration(settings, SETTING_UFM_TIMEOUT, 100, &engine->write_timeout_ms, err) < 0)
		return -1;
	if (engine->write_timeout_ms > lease->duration_ms)
		return settings_bad(settings, SETTING_UFM_TIMEOUT, "longer than UFMSYNC_LEASE_DURATION", err);
	return 0;
}

static int read_ufm(struct config *config, struct error *err)
{
	static const char *const schemas[] = { "https", "http", NULL };
	static const char *const auths[] = { "basic", "token", "mtls", NULL };
	struct settings *settings = config->settings;
	struct ufm_options *ufm = &config->ufm;
	const char *port = settings_get(settings, SETTING_UFM_PORT);
	int schema = choice(settings, SETTING_UFM_HTTP_SCHEMA, schemas, err);
	int auth = schema < 0 ? -1 : choice(settings, SETTING_UFM_AUTH, auths, err);

	if (auth < 0 || boolean(settings, SETTING_UFM_INSECURE_SKIP_VERIFY, &ufm->insecure, err) < 0)
		return -1;
	ufm->schema = schemas[schema];
	ufm->auth = (enum ufm_auth)auth;
	ufm->address = settings_get(settings, SETTING_UFM_ADDRESS);
	if (!ufm->address)
		return settings_bad(settings, SETTING_UFM_ADDRESS, NULL, err);
	if (port) {
		char *end;
		unsigned long n = strtoul(port, &end, 10);
		if (port[strspn(port, "0123456789")] != '\0' || n < 1 || n > 65535)
			return settings_bad(settings, SETTING_UFM_PORT, NULL, err);
		ufm->port = (unsigned)n;
	}
	ufm->prefix = settings_get(settings, SETTING_UFM_PREFIX);
	if (ufm->prefix && ufm->prefix[0] != '/')
		return settings_bad(settings, SETTING_UFM_PREFIX, NULL, err);
	ufm->tls_name = settings_get(settings, SETTING_UFM_TLS_NAME);
	ufm->timeout_ms = config->engine.write_timeout_ms;
	if (ufm->insecure)
		settings_add_notice(settings,
				    "UFM_INSECURE_SKIP_VERIFY=true: UFM's certificate is not verified; whoever sits "
				    "between can read the password and change partitions");
	if (strcmp(ufm->schema, "http") == 0)
		settings_add_notice(settings, "UFM_HTTP_SCHEMA=http: the credentials travel in clear");
	return 0;
}

static int read_identity(struct config *config, struct error *err)
{
	const char *node = settings_get(config->settings, SETTING_K8S_NODE);
	const char *uid = settings_get(config->settings, SETTING_POD_UID);
	char host[256] = "";
	uint64_t chance = 0;

	if (!node) {
		if (gethostname(host, sizeof host - 1) < 0)
			return error_set_errno(err, "host name");
		node = host;
	}
	/* Two that call themselves the same would both lead: without a UID chance tells them apart, as in containers the
	 * process id of both is 1, and on the host's network their host name the node's. */
	if (!uid && getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance)
		return error_set_errno(err, "random number");
	config->identity = uid ? mem_printf("%s_%s", node, uid) : mem_printf("%s_%016" PRIx64, node, chance);
	config->ufm.identity = config->identity;
	return 0;
}

static bool is_namespace(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n <= 63 && text[n] == '\0' && text[0] != '-' && text[n - 1] != '-';
}

static int number(const struct settings *settings, enum setting id, unsigned most, unsigned *out, struct error *err)
{
	const char *value = settings_get(settings, id);
	size_t digits = strspn(value, "0123456789");
	unsigned long n = digits <= 9 ? strtoul(value, NULL, 10) : 0;

	if (value[digits] != '\0' || n < 1 || n > most)
		return settings_bad(settings, id, NULL, err);
	*out = (unsigned)n;
	return 0;
}

/* As Kubernetes names objects: a DNS subdomain. */
static bool is_name(const char *text, size_t n)
{
	return n > 0 && n <= 253 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") >= n &&
	       !strchr("-.", text[0]) && !strchr("-.", text[n - 1]);
}

/* "namespace/name" as the API server names such a user. */
static char *service_account_user(const char *text)
{
	const char *slash = strchr(text, '/');

	if (!slash || !is_name(slash + 1, strlen(slash + 1)))
		return NULL;
	char *namespace = mem_dup_n(text, (size_t)(slash - text));
	char *user = is_namespace(namespace) ? mem_printf("system:serviceaccount:%s:%s", namespace, slash + 1) : NULL;
	free(namespace);
	return user;
}

static int read_attach_users(struct config *config, struct error *err)
{
	struct settings *settings = config->settings;
	const char *text = settings_get(settings, SETTING_UFMSYNC_ATTACH_SERVICE_ACCOUNTS);
	char *otherwise = mem_printf("%s/ufmsync-cni", config->lease_namespace);

	config->attach_users = split_names(text ? text : otherwise);
	free(otherwise);
	for (char **name = config->attach_users; *name; name++) {
		char *user = service_account_user(*name), why[64];
		if (!user) {
			snprintf(why, sizeof why, "wrong at '%.32s'", *name);
			return settings_bad(settings, SETTING_UFMSYNC_ATTACH_SERVICE_ACCOUNTS, why, err);
		}
		free(*name);
		*name = user;
	}
	return config->attach_users[0]
		       ? 0
		       : settings_bad(settings, SETTING_UFMSYNC_ATTACH_SERVICE_ACCOUNTS, "nobody is named", err);
}

static int read_https(struct config *config, struct error *err)
{
	struct settings *settings = config->settings;

	config->listen = settings_get(settings, SETTING_UFMSYNC_LISTEN);
	config->tls_cert = settings_get(settings, SETTING_UFMSYNC_TLS_CERT);
	config->tls_key = settings_get(settings, SETTING_UFMSYNC_TLS_KEY);
	if (!config->tls_cert != !config->tls_key)
		return settings_bad(settings, config->tls_cert ? SETTING_UFMSYNC_TLS_KEY : SETTING_UFMSYNC_TLS_CERT,
				    config->tls_cert ? "UFMSYNC_TLS_CERT is" : "UFMSYNC_TLS_KEY is", err);
	if (duration(settings, SETTING_UFMSYNC_ATTACH_TIMEOUT, 1000, &config->attach_timeout_ms, err) < 0)
		return -1;
	if (config->attach_timeout_ms > ATTACH_TIMEOUT_MAX_MS)
		return settings_bad(settings, SETTING_UFMSYNC_ATTACH_TIMEOUT, "too long", err);
	if (number(settings, SETTING_UFMSYNC_ATTACH_WAITING_MAX, ATTACH_WAITING_MAX, &config->attach_waiting_max, err) <
		    0 ||
	    number(settings, SETTING_UFMSYNC_ATTACH_PER_NODE_MAX, ATTACH_WAITING_MAX, &config->attach_per_node_max,
		   err) < 0)
		return -1;
	return read_attach_users(config, err);
}

static int read_rest(struct config *config, struct error *err)
{
	static const char *const plugins[] = { "ufm", "opensm", "noop", NULL };
	static const char *const formats[] = { "auto", "text", "json", NULL };
	struct settings *settings = config->settings;
	const char *record_key = settings_get(settings, SETTING_UFMSYNC_RECORD_KEY);
	int plugin = choice(settings, SETTING_DAEMON_SM_PLUGIN, plugins, err);
	int format = plugin < 0 ? -1 : choice(settings, SETTING_UFMSYNC_LOG_FORMAT, formats, err);

	if (format < 0)
		return -1;
	config->plugin = (enum config_plugin)plugin;
	config->log_format = (enum log_format)format;
	if (!log_level_parse(&config->log_level, settings_get(settings, SETTING_UFMSYNC_LOG_LEVEL)))
		return settings_bad(settings, SETTING_UFMSYNC_LOG_LEVEL, NULL, err);
	if (boolean(settings, SETTING_ENABLE_IP_OVER_IB, &config->ufm.ip_over_ib, err) < 0 ||
	    boolean(settings, SETTING_ENABLE_INDEX0_FOR_PRIMARY_PKEY, &config->engine.index0, err) < 0)
		return -1;
	if (record_key && record_keys_parse(&config->record_keys, record_key, err) < 0)
		return error_wrap(err, "UFMSYNC_RECORD_KEY (%s)",
				  settings_origin(settings, SETTING_UFMSYNC_RECORD_KEY));
	config->engine.keys = config->record_keys;
	if (!record_key)
		settings_add_notice(
			settings,
			"UFMSYNC_RECORD_KEY is not set: no records are written, after a restart a pod's annotation is "
			"only a wish, and a replica that does not lead cannot answer a CNI plugin: see that the plugin "
			"reaches the leader, or set the key");
	config->kubeconfig = settings_get(settings, SETTING_KUBECONFIG);
	config->lease_namespace = settings_get(settings, SETTING_POD_NAMESPACE);
	if (!is_namespace(config->lease_namespace))
		return settings_bad(settings, SETTING_POD_NAMESPACE, NULL, err);
	config->health_listen = settings_get(settings, SETTING_UFMSYNC_HEALTH_LISTEN);
	for (int id = SETTING_DAEMON_SM_PLUGIN_PATH; id <= SETTING_DAEMON_PERIODIC_UPDATE; id++)
		if (settings_is_set(settings, (enum setting)id))
			settings_add_notice(settings, "%s is accepted and not used", setting_infos[id].name);
	return 0;
}

int config_load(struct config *config, const struct settings_source *source, struct error *err)
{
	*config = (struct config){ .log_level = LOG_INFO };
	engine_options_init(&config->engine);
	if (settings_load(&config->settings, source, err) < 0)
		return -1;
	if (read_rest(config, err) < 0 || read_pool(config, err) < 0 || read_pkeys(config, err) < 0 ||
	    read_policy(config, err) < 0 || read_times(config, err) < 0 || read_identity(config, err) < 0 ||
	    config_read_opensm(config, err) < 0 || read_https(config, err) < 0 ||
	    (config->plugin == CONFIG_PLUGIN_UFM && read_ufm(config, err) < 0)) {
		config_free(config);
		return -1;
	}
	return 0;
}

void config_free(struct config *config)
{
	for (char **name = config->shared_namespaces; name && *name; name++)
		free(*name);
	free(config->shared_namespaces);
	for (char **user = config->attach_users; user && *user; user++)
		free(*user);
	free(config->attach_users);
	free(config->identity);
	record_keys_free(config->record_keys);
	settings_free(config->settings);
	*config = (struct config){ 0 };
}
