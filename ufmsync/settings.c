#include "ufmsync/settings.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define BOOLEAN  "true or false"
#define DURATION "a number with ms, s, m or h (a bare number is seconds)"
#define SECRET   "text, from the Secret or the environment"
#define PEM      "PEM, or base64 of PEM"

const struct setting_info setting_infos[SETTING_COUNT] = {
	[SETTING_DAEMON_SM_PLUGIN] = { "DAEMON_SM_PLUGIN", NULL, "ufm, opensm or noop",
				       "what changes the fabric's partitions", false },
	[SETTING_DAEMON_SM_PLUGIN_PATH] = { "DAEMON_SM_PLUGIN_PATH", NULL, "anything",
					    "of ib-kubernetes; accepted and not used", false },
	[SETTING_DAEMON_PERIODIC_UPDATE] = { "DAEMON_PERIODIC_UPDATE", NULL, "anything",
					     "of ib-kubernetes; accepted and not used: nothing here polls", false },
	[SETTING_GUID_POOL_RANGE_START] = { "GUID_POOL_RANGE_START", "02:00:00:00:00:00:00:00",
					    "a GUID: eight pairs of hexadecimal digits with colons",
					    "first GUID of this cluster's own range", false },
	[SETTING_GUID_POOL_RANGE_END] = { "GUID_POOL_RANGE_END", "02:ff:ff:ff:ff:ff:ff:ff",
					  "a GUID, not below GUID_POOL_RANGE_START",
					  "last GUID of this cluster's own range", false },
	[SETTING_UFM_ADDRESS] = { "UFM_ADDRESS", NULL, "a host name or address", "where UFM answers", false },
	[SETTING_UFM_PORT] = { "UFM_PORT", NULL, "1 to 65535", "default 443 with https, 80 with http", false },
	[SETTING_UFM_HTTP_SCHEMA] = { "UFM_HTTP_SCHEMA", "https", "https or http", "how UFM is spoken to", false },
	[SETTING_UFM_AUTH] = { "UFM_AUTH", "basic", "basic, token or mtls", "how we show UFM who we are", false },
	[SETTING_UFM_USERNAME] = { "UFM_USERNAME", NULL, SECRET, "user for basic (UFM_USER is the same)", true },
	[SETTING_UFM_PASSWORD] = { "UFM_PASSWORD", NULL, SECRET, "password for basic", true },
	[SETTING_UFM_TOKEN] = { "UFM_TOKEN", NULL, SECRET, "access token for token", true },
	[SETTING_UFM_CERTIFICATE] = { "UFM_CERTIFICATE", NULL, PEM,
				      "UFM's own self-made certificate (then exactly that one) or its CA", true },
	[SETTING_UFM_CLIENT_CERT] = { "UFM_CLIENT_CERT", NULL, PEM, "client certificate for mtls", true },
	[SETTING_UFM_CLIENT_KEY] = { "UFM_CLIENT_KEY", NULL, PEM, "its key", true },
	[SETTING_UFM_TLS_NAME] = { "UFM_TLS_NAME", NULL, "a name", "name to expect in UFM's certificate", false },
	[SETTING_UFM_INSECURE_SKIP_VERIFY] = { "UFM_INSECURE_SKIP_VERIFY", "false", BOOLEAN,
					       "do not verify UFM's certificate", false },
	[SETTING_UFM_PREFIX] = { "UFM_PREFIX", NULL, "a path that begins with /",
				 "default /ufmRest, /ufmRestV3 with token", false },
	[SETTING_UFM_TIMEOUT] = { "UFM_TIMEOUT", "10s", DURATION ", not above UFMSYNC_LEASE_DURATION",
				  "how long a request to UFM may take", false },
	[SETTING_UFM_PKEY_RANGE] = { "UFM_PKEY_RANGE", "0x1-0x7ffe", "PKeys and ranges: 0x5,0x10-0x1f",
				     "the PKeys this cluster may touch", false },
	[SETTING_OPENSM_PARTITIONS_FILE] = { "OPENSM_PARTITIONS_FILE", NULL, "a file, with its whole path",
					     "OpenSM's partition configuration, in a folder that OpenSM reads it from",
					     false },
	[SETTING_OPENSM_RELOAD] = { "OPENSM_RELOAD", "process",
				    "process, pidfile:/PATH, console:HOST:PORT, trap or command:/PATH",
				    "how OpenSM is told to read its partitions anew", false },
	[SETTING_OPENSM_VERIFY] = { "OPENSM_VERIFY", "smp", "smp or none",
				    "smp: our own port's P_Key table must show that OpenSM has read the file", false },
	[SETTING_OPENSM_CANARY_PKEYS] = { "OPENSM_CANARY_PKEYS", "0x7ffc,0x7ffd", "two different PKeys",
					  "that our own port is in to show so; no pod gets them", false },
	[SETTING_OPENSM_SM_KEY] = { "OPENSM_SM_KEY", NULL, "a number, 0x and hexadecimal or decimal",
				    "OpenSM's sa_key, default 1", true },
	[SETTING_OPENSM_DEVICE] = { "OPENSM_DEVICE", NULL, "a name: mlx5_0",
				    "our InfiniBand device; default the first with an active port", false },
	[SETTING_OPENSM_PORT] = { "OPENSM_PORT", NULL, "1 to 254", "its port; default the first active one", false },
	[SETTING_OPENSM_LOG] = { "OPENSM_LOG", NULL, "a file, with its whole path",
				 "OpenSM's log, where it says that it refuses a file", false },
	[SETTING_ENABLE_IP_OVER_IB] = { "ENABLE_IP_OVER_IB", "true", BOOLEAN, "partitions carry IPoIB", false },
	[SETTING_ENABLE_INDEX0_FOR_PRIMARY_PKEY] = { "ENABLE_INDEX0_FOR_PRIMARY_PKEY", "true", BOOLEAN,
						     "a pod's PKey stands at index 0 of its port's table; with opensm "
						     "only where "
						     "this is set to true, since the default partition has to leave it "
						     "there",
						     false },
	[SETTING_DEFAULT_LIMITED_PARTITION] = { "DEFAULT_LIMITED_PARTITION", NULL, "a PKey",
						"every attachment with a PKey is a limited member of this one too",
						false },
	[SETTING_UFMSYNC_SECRET_DIR] = { "UFMSYNC_SECRET_DIR", NULL, "a folder",
					 "a mounted Secret, one file a key; wins over the environment", false },
	[SETTING_UFMSYNC_RECORD_KEY] = { "UFMSYNC_RECORD_KEY", NULL,
					 "base64 of at least 32 bytes; several with commas, the first signs",
					 "signs the record in each pod", true },
	[SETTING_UFMSYNC_PKEY_POLICY] = { "UFMSYNC_PKEY_POLICY", "namespace", "namespace, annotated or any",
					  "which namespace may use which network definition and PKey", false },
	[SETTING_UFMSYNC_SHARED_NETWORK_NAMESPACES] = { "UFMSYNC_SHARED_NETWORK_NAMESPACES", "kube-system,default",
							"namespaces with commas",
							"whose network definitions every namespace may use", false },
	[SETTING_UFMSYNC_ADOPT] = { "UFMSYNC_ADOPT", "record", "record or annotation",
				    "what is believed of pods that were there before us", false },
	[SETTING_UFMSYNC_GATE] = { "UFMSYNC_GATE", "member", "member or assigned",
				   "from when on a pod's annotation is written", false },
	[SETTING_UFMSYNC_GUID_REST] = { "UFMSYNC_GUID_REST", "60s", DURATION, "a GUID's rest before its next use",
					false },
	[SETTING_UFMSYNC_GUID_REST_UNSURE] = { "UFMSYNC_GUID_REST_UNSURE", "1h", DURATION,
					       "the same when its pod may still be running somewhere", false },
	[SETTING_UFMSYNC_ORPHANS] = { "UFMSYNC_ORPHANS", "brake", "brake, remove or keep",
				      "what happens to members of our range that no pod owns", false },
	[SETTING_UFMSYNC_ORPHAN_GRACE] = { "UFMSYNC_ORPHAN_GRACE", "60s", DURATION,
					   "between an orphan's first sight and its removal", false },
	[SETTING_UFMSYNC_GATHER] = { "UFMSYNC_GATHER", "20ms", DURATION,
				     "how long a busy service gathers GUIDs for one request", false },
	[SETTING_UFMSYNC_AUDIT_INTERVAL] = { "UFMSYNC_AUDIT_INTERVAL", "60s", DURATION,
					     "between two comparisons with the fabric manager", false },
	[SETTING_UFMSYNC_LEASE_DURATION] = { "UFMSYNC_LEASE_DURATION", "15s", DURATION, "of the leader's Lease",
					     false },
	[SETTING_UFMSYNC_LEASE_RENEW_DEADLINE] = { "UFMSYNC_LEASE_RENEW_DEADLINE", "10s",
						   DURATION ", below UFMSYNC_LEASE_DURATION",
						   "a leader that could not renew for so long stops leading", false },
	[SETTING_UFMSYNC_LEASE_RETRY] = { "UFMSYNC_LEASE_RETRY", "2s", DURATION ", below UFMSYNC_LEASE_RENEW_DEADLINE",
					  "between two tries to take or renew", false },
	[SETTING_UFMSYNC_LISTEN] = { "UFMSYNC_LISTEN", ":8443", "[address]:port",
				     "https: where CNI plugins ask (/v1/attach)", false },
	[SETTING_UFMSYNC_TLS_CERT] = { "UFMSYNC_TLS_CERT", NULL, "a file: PEM, the server's certificate first",
				       "of UFMSYNC_LISTEN, which is not opened without; taken up when it is replaced",
				       false },
	[SETTING_UFMSYNC_TLS_KEY] = { "UFMSYNC_TLS_KEY", NULL, "a file: PEM, not encrypted", "its key", false },
	[SETTING_UFMSYNC_ATTACH_SERVICE_ACCOUNTS] = { "UFMSYNC_ATTACH_SERVICE_ACCOUNTS", NULL,
						      "namespace/name, several with commas",
						      "whose tokens may ask at /v1/attach; default "
						      "POD_NAMESPACE/ufmsync-cni",
						      false },
	[SETTING_UFMSYNC_ATTACH_TIMEOUT] = { "UFMSYNC_ATTACH_TIMEOUT", "60s", DURATION ", 1s to 5m",
					     "how long a CNI plugin waits for its membership", false },
	[SETTING_UFMSYNC_ATTACH_WAITING_MAX] = { "UFMSYNC_ATTACH_WAITING_MAX", "10000", "1 to 100000",
						 "how many may wait; more are answered 503", false },
	[SETTING_UFMSYNC_ATTACH_PER_NODE_MAX] = { "UFMSYNC_ATTACH_PER_NODE_MAX", "512", "1 to 100000",
						  "how many of one node may wait; more are answered 429", false },
	[SETTING_UFMSYNC_HEALTH_LISTEN] = { "UFMSYNC_HEALTH_LISTEN", ":8080", "[address]:port",
					    "where /healthz, /readyz and /metrics are", false },
	[SETTING_UFMSYNC_LOG_LEVEL] = { "UFMSYNC_LOG_LEVEL", "info", "debug, info, warn or error", "what is logged",
					false },
	[SETTING_UFMSYNC_LOG_FORMAT] = { "UFMSYNC_LOG_FORMAT", "auto", "auto, text or json",
					 "auto: text on a terminal, else JSON", false },
	[SETTING_KUBECONFIG] = { "KUBECONFIG", NULL, "a file", "how to reach the API server from outside a cluster",
				 false },
	[SETTING_K8S_NODE] = { "K8S_NODE", NULL, "a name", "of our node: part of the leader's identity", false },
	[SETTING_POD_NAMESPACE] = { "POD_NAMESPACE", "kube-system", "a namespace", "where our Lease is", false },
	[SETTING_POD_UID] = { "POD_UID", NULL, "a UID", "of our pod: part of the leader's identity", false },
};

enum { NOTICES_MAX = 64 };

struct settings {
	char *value[SETTING_COUNT]; /* not the secrets' */
	const char *origin[SETTING_COUNT];
	const char *otherwise[SETTING_COUNT]; /* NULL: as the table says */
	struct secrets *secrets;
	char *const *environ;
	char *notices[NOTICES_MAX];
	size_t n_notices;
};

void settings_add_notice(struct settings *settings, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;

	if (settings->n_notices == NOTICES_MAX)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	settings->notices[settings->n_notices++] = mem_dup(text);
}

const char *settings_notice(const struct settings *settings, size_t i)
{
	return i < settings->n_notices ? settings->notices[i] : NULL;
}

static const char *env_value(char *const *environ, const char *name)
{
	size_t n = strlen(name);

	for (; environ && *environ; environ++)
		if (strncmp(*environ, name, n) == 0 && (*environ)[n] == '=')
			return *environ + n + 1;
	return NULL;
}

static bool has_suffix(const char *text, size_t n, const char *suffix)
{
	size_t m = strlen(suffix);

	return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

/* Kubernetes puts variables for every Service of the namespace into a container; a Service called `ufm` or `ufmsync`
 * makes UFM_PORT=tcp://10.0.0.1:443, UFM_SERVICE_HOST, UFM_PORT_443_TCP_ADDR and so on. */
static bool is_service_link(const char *name, size_t n, const char *value)
{
	const char *port = memmem(name, n, "_PORT_", 6);

	if (has_suffix(name, n, "_SERVICE_HOST") || memmem(name, n, "_SERVICE_PORT", 13))
		return true;
	if (has_suffix(name, n, "_PORT") &&
	    (strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0 || strncmp(value, "sctp://", 7) == 0))
		return true;
	return port && isdigit((unsigned char)port[6]) &&
	       (memmem(name, n, "_TCP", 4) || memmem(name, n, "_UDP", 4) || memmem(name, n, "_SCTP", 5));
}

static bool is_alias(const char *name, size_t n)
{
	return n == 8 && memcmp(name, "UFM_USER", 8) == 0;
}

static bool is_ours(const char *name)
{
	return strncmp(name, "UFM_", 4) == 0 || strncmp(name, "UFMSYNC_", 8) == 0 || strncmp(name, "OPENSM_", 7) == 0;
}

static int find_setting(const char *name, size_t n)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		if (strlen(setting_infos[i].name) == n && memcmp(setting_infos[i].name, name, n) == 0)
			return i;
	return -1;
}

static int read_environment(struct settings *settings, char *const *environ, struct error *err)
{
	for (; environ && *environ; environ++) {
		const char *entry = *environ, *equals = strchr(entry, '=');
		size_t n = equals ? (size_t)(equals - entry) : 0;

		if (n == 0)
			continue;
		int id = find_setting(entry, n);
		if ((id >= 0 || is_ours(entry)) && is_service_link(entry, n, equals + 1)) {
			settings_add_notice(settings, "%.*s looks like a Kubernetes service link and is ignored",
					    (int)n, entry);
			continue;
		}
		if (id < 0) {
			if (is_ours(entry) && !is_alias(entry, n))
				return error_set(err, ERROR_INVALID,
						 "unknown setting %.*s in the environment; `ufmsyncd --help` lists all",
						 (int)n, entry);
			continue;
		}
		if (setting_infos[id].secret || equals[1] == '\0')
			continue; /* secrets are read by secrets_load(); empty means not set */
		free(settings->value[id]);
		settings->value[id] = mem_dup(equals + 1);
		settings->origin[id] = "environment";
	}
	return 0;
}

static bool flag_is(const char *flag, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		char c = flag[i] == '-' ? '_' : (char)toupper((unsigned char)flag[i]);
		if (name[i] == '\0' || c != name[i] || isupper((unsigned char)flag[i]) || flag[i] == '_')
			return false;
	}
	return name[n] == '\0';
}

static int read_flags(struct settings *settings, const struct settings_source *source, struct error *err)
{
	for (int i = 1; i < source->argc; i++) {
		const char *arg = source->argv[i], *value;
		int id;

		if (strncmp(arg, "--", 2) != 0)
			return error_set(err, ERROR_INVALID,
					 "unexpected argument '%s'; `ufmsyncd --help` lists all flags", arg);
		size_t n = strcspn(arg + 2, "=");
		for (id = 0; id < SETTING_COUNT; id++)
			if (flag_is(arg + 2, n, setting_infos[id].name))
				break;
		if (id == SETTING_COUNT)
			return error_set(err, ERROR_INVALID, "unknown flag --%.*s; `ufmsyncd --help` lists all", (int)n,
					 arg + 2);
		if (setting_infos[id].secret)
			return error_set(
				err, ERROR_INVALID,
				"--%.*s: a secret must not stand in an argument list, which every user of the machine "
				"can read; put %s into the Secret or the environment",
				(int)n, arg + 2, setting_infos[id].name);
		if (arg[2 + n] == '=')
			value = arg + 2 + n + 1;
		else if (i + 1 < source->argc)
			value = source->argv[++i];
		else
			return error_set(err, ERROR_INVALID, "%s needs a value: %s", arg, setting_infos[id].accepted);
		if (*value == '\0')
			continue;
		free(settings->value[id]);
		settings->value[id] = mem_dup(value);
		settings->origin[id] = "flag";
	}
	return 0;
}

/* What is no secret may stand in the mounted Secret beside them, as the published one has it. */
static int read_secret_dir(struct settings *settings, struct error *err)
{
	const char *name;

	for (size_t i = 0; (name = secrets_name_in_folder(settings->secrets, i)); i++)
		if (is_ours(name) && find_setting(name, strlen(name)) < 0 && !is_alias(name, strlen(name)))
			return error_set(err, ERROR_INVALID,
					 "unknown setting %s in UFMSYNC_SECRET_DIR=%s; `ufmsyncd --help` lists all",
					 name, settings->value[SETTING_UFMSYNC_SECRET_DIR]);
	for (int id = 0; id < SETTING_COUNT; id++) {
		const char *value =
			setting_infos[id].secret ? NULL : secrets_other(settings->secrets, setting_infos[id].name);

		if (!value || *value == '\0' || id == SETTING_UFMSYNC_SECRET_DIR ||
		    (settings->origin[id] && strcmp(settings->origin[id], "flag") == 0))
			continue;
		free(settings->value[id]);
		settings->value[id] = mem_dup(value);
		settings->origin[id] = "Secret";
	}
	return 0;
}

static const char *lookup_environment(void *aux, const char *name)
{
	const char *value = env_value(aux, name);

	return value && !is_service_link(name, strlen(name), value) ? value : NULL;
}

int settings_reload_secrets(const struct settings *settings, struct secrets **ret, struct error *err)
{
	const char *folder = settings->value[SETTING_UFMSYNC_SECRET_DIR];

	if (secrets_load(ret, folder, lookup_environment, (void *)settings->environ, err) == 0)
		return 0;
	return folder ? error_wrap(err, "UFMSYNC_SECRET_DIR=%s", folder) : -1;
}

int settings_load(struct settings **ret, const struct settings_source *source, struct error *err)
{
	struct settings *settings = mem_alloc(sizeof *settings);

	settings->environ = source->environ;
	if (read_environment(settings, source->environ, err) < 0 || read_flags(settings, source, err) < 0 ||
	    settings_reload_secrets(settings, &settings->secrets, err) < 0 || read_secret_dir(settings, err) < 0) {
		settings_free(settings);
		return -1;
	}
	*ret = settings;
	return 0;
}

void settings_free(struct settings *settings)
{
	if (!settings)
		return;
	for (int i = 0; i < SETTING_COUNT; i++)
		free(settings->value[i]);
	for (size_t i = 0; i < settings->n_notices; i++)
		free(settings->notices[i]);
	secrets_free(settings->secrets);
	free(settings);
}

static int secret_of(enum setting id)
{
	for (int i = 0; i < SECRET_COUNT; i++)
		if (strcmp(secret_name((enum secret_id)i), setting_infos[id].name) == 0)
			return i;
	return -1;
}

const char *settings_get(const struct settings *settings, enum setting id)
{
	if (setting_infos[id].secret)
		return secrets_get(settings->secrets, (enum secret_id)secret_of(id));
	if (settings->value[id])
		return settings->value[id];
	return settings->otherwise[id] ? settings->otherwise[id] : setting_infos[id].otherwise;
}

void settings_set_default(struct settings *settings, enum setting id, const char *value)
{
	settings->otherwise[id] = value;
}

bool settings_is_set(const struct settings *settings, enum setting id)
{
	return setting_infos[id].secret ? settings_get(settings, id) != NULL : settings->value[id] != NULL;
}

const char *settings_origin(const struct settings *settings, enum setting id)
{
	if (setting_infos[id].secret && settings_is_set(settings, id))
		return secrets_origin(settings->secrets, (enum secret_id)secret_of(id));
	if (settings_is_set(settings, id))
		return settings->origin[id];
	return setting_infos[id].otherwise ? "default" : "";
}

const struct secrets *settings_secrets(const struct settings *settings)
{
	return settings->secrets;
}

int settings_bad(const struct settings *settings, enum setting id, const char *why, struct error *err)
{
	const char *value = settings_get(settings, id);

	if (!value)
		return error_set(err, ERROR_INVALID, "%s is not set%s%s; accepted: %s", setting_infos[id].name,
				 why ? ": " : "", why ? why : "", setting_infos[id].accepted);
	if (setting_infos[id].secret)
		return error_set(err, ERROR_INVALID, "%s (%s)%s%s; accepted: %s", setting_infos[id].name,
				 settings_origin(settings, id), why ? ": " : "", why ? why : "",
				 setting_infos[id].accepted);
	return error_set(err, ERROR_INVALID, "%s='%.80s' (%s)%s%s; accepted: %s", setting_infos[id].name, value,
			 settings_origin(settings, id), why ? ": " : "", why ? why : "", setting_infos[id].accepted);
}

void settings_print(const struct settings *settings, FILE *out)
{
	for (int id = 0; id < SETTING_COUNT; id++) {
		const char *value = settings_get(settings, id);

		if (setting_infos[id].secret)
			value = value ? "<set>" : "<unset>";
		fprintf(out, "%-36s %-28s %s\n", setting_infos[id].name, value ? value : "<unset>",
			settings_origin(settings, id));
	}
}

void settings_help(FILE *out)
{
	for (int id = 0; id < SETTING_COUNT; id++) {
		const struct setting_info *info = &setting_infos[id];
		char flag[64];
		size_t n = strlen(info->name);

		for (size_t i = 0; i <= n; i++)
			flag[i] = info->name[i] == '_' ? '-' : (char)tolower((unsigned char)info->name[i]);
		if (info->secret)
			fprintf(out, "  %s (no flag: a secret)\n", info->name);
		else
			fprintf(out, "  --%s, %s\n", flag, info->name);
		fprintf(out, "        %s: %s%s%s%s\n", info->help, info->accepted, info->otherwise ? " [" : "",
			info->otherwise ? info->otherwise : "", info->otherwise ? "]" : "");
	}
}
