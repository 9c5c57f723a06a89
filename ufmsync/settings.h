#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "secrets/secrets.h"

/* The texts of all settings and where each came from: a flag, the mounted Secret, the environment, or the default, in
 * this order.  What they mean is config.h's. */

enum setting {
	SETTING_DAEMON_SM_PLUGIN,
	SETTING_DAEMON_SM_PLUGIN_PATH,
	SETTING_DAEMON_PERIODIC_UPDATE,
	SETTING_GUID_POOL_RANGE_START,
	SETTING_GUID_POOL_RANGE_END,
	SETTING_UFM_ADDRESS,
	SETTING_UFM_PORT,
	SETTING_UFM_HTTP_SCHEMA,
	SETTING_UFM_AUTH,
	SETTING_UFM_USERNAME,
	SETTING_UFM_PASSWORD,
	SETTING_UFM_TOKEN,
	SETTING_UFM_CERTIFICATE,
	SETTING_UFM_CLIENT_CERT,
	SETTING_UFM_CLIENT_KEY,
	SETTING_UFM_TLS_NAME,
	SETTING_UFM_INSECURE_SKIP_VERIFY,
	SETTING_UFM_PREFIX,
	SETTING_UFM_TIMEOUT,
	SETTING_UFM_PKEY_RANGE,
	SETTING_OPENSM_PARTITIONS_FILE,
	SETTING_OPENSM_RELOAD,
	SETTING_OPENSM_VERIFY,
	SETTING_OPENSM_CANARY_PKEYS,
	SETTING_OPENSM_SM_KEY,
	SETTING_OPENSM_DEVICE,
	SETTING_OPENSM_PORT,
	SETTING_OPENSM_LOG,
	SETTING_ENABLE_IP_OVER_IB,
	SETTING_ENABLE_INDEX0_FOR_PRIMARY_PKEY,
	SETTING_DEFAULT_LIMITED_PARTITION,
	SETTING_UFMSYNC_SECRET_DIR,
	SETTING_UFMSYNC_RECORD_KEY,
	SETTING_UFMSYNC_PKEY_POLICY,
	SETTING_UFMSYNC_SHARED_NETWORK_NAMESPACES,
	SETTING_UFMSYNC_ADOPT,
	SETTING_UFMSYNC_GATE,
	SETTING_UFMSYNC_GUID_REST,
	SETTING_UFMSYNC_GUID_REST_UNSURE,
	SETTING_UFMSYNC_ORPHANS,
	SETTING_UFMSYNC_ORPHAN_GRACE,
	SETTING_UFMSYNC_GATHER,
	SETTING_UFMSYNC_AUDIT_INTERVAL,
	SETTING_UFMSYNC_LEASE_DURATION,
	SETTING_UFMSYNC_LEASE_RENEW_DEADLINE,
	SETTING_UFMSYNC_LEASE_RETRY,
	SETTING_UFMSYNC_LISTEN,
	SETTING_UFMSYNC_TLS_CERT,
	SETTING_UFMSYNC_TLS_KEY,
	SETTING_UFMSYNC_ATTACH_SERVICE_ACCOUNTS,
	SETTING_UFMSYNC_ATTACH_TIMEOUT,
	SETTING_UFMSYNC_ATTACH_WAITING_MAX,
	SETTING_UFMSYNC_ATTACH_PER_NODE_MAX,
	SETTING_UFMSYNC_HEALTH_LISTEN,
	SETTING_UFMSYNC_LOG_LEVEL,
	SETTING_UFMSYNC_LOG_FORMAT,
	SETTING_KUBECONFIG,
	SETTING_K8S_NODE,
	SETTING_POD_NAMESPACE,
	SETTING_POD_UID,
	SETTING_COUNT
};

struct setting_info {
	const char *name;      /* of the environment variable; the flag is the same words: --ufm-address */
	const char *otherwise; /* the default; NULL: none */
	const char *accepted;  /* what a value may be: for help and errors */
	const char *help;
	bool secret; /* has no flag: an argument list is seen by everybody */
};
extern const struct setting_info setting_infos[SETTING_COUNT];

struct settings;

struct settings_source {
	int argc;
	char *const *argv; /* argv[0] is the program; --help and friends are the caller's */
	char *const *environ;
};

/* Reads flags, environment and the Secret's folder.  ERROR_INVALID on an unknown flag, on an unknown UFM_*, UFMSYNC_* or
 * OPENSM_* name (in the Secret's folder too), on a secret given as a flag.  What is accepted but wants to be said (service links that were
 * ignored) is added to notices. */
int settings_load(struct settings **ret, const struct settings_source *source, struct error *err);
void settings_free(struct settings *settings);

const char *settings_get(const struct settings *settings, enum setting id); /* NULL: not set and no default */
const char *settings_origin(const struct settings *settings,
			    enum setting id);                           /* "flag", "environment", "default" ... */
bool settings_is_set(const struct settings *settings, enum setting id); /* by anything but the default */
/* Where it is not set it is this from now on (borrowed): with the other settings as they are, the default is another. */
void settings_set_default(struct settings *settings, enum setting id, const char *value);
const struct secrets *settings_secrets(const struct settings *settings);
/* Reads the credentials anew from where they came first. */
int settings_reload_secrets(const struct settings *settings, struct secrets **ret, struct error *err);
const char *settings_notice(const struct settings *settings, size_t i); /* NULL behind the last */
void settings_add_notice(struct settings *settings, const char *format, ...) __attribute__((format(printf, 2, 3)));

void settings_print(const struct settings *settings, FILE *out); /* secrets as <set>, <unset> */
void settings_help(FILE *out);                                   /* the table of all flags */
/* error_set() in the one form all bad values have: name, value (unless secret), origin, what is accepted. */
int settings_bad(const struct settings *settings, enum setting id, const char *why, struct error *err);
