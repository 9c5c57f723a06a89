#pragma once

#include "base/error.h"
#include "base/log.h"
#include "pkey/opensm.h"
#include "pkey/ufm.h"
#include "ufmsync/engine.h"
#include "ufmsync/kube/lease.h"
#include "ufmsync/settings.h"

/* What the settings mean, checked once at start; each part of the service gets its own piece, const. */

enum config_plugin { CONFIG_PLUGIN_UFM, CONFIG_PLUGIN_OPENSM, CONFIG_PLUGIN_NOOP };

struct config {
	struct settings *settings; /* owned; the texts below are borrowed from it */
	enum config_plugin plugin;
	struct ufm_options ufm;
	struct opensm_options opensm;    /* but for said and aux */
	struct engine_options engine;    /* but for start and wall_offset_ms */
	struct record_keys *record_keys; /* owned; NULL: none */
	char **shared_namespaces;        /* owned; engine points to it */
	struct lease_times lease;
	const char *kubeconfig; /* NULL: in-cluster */
	const char *lease_namespace;
	char *identity; /* owned: node_uid, or with a random number instead */
	const char *health_listen;
	const char *listen, *tls_cert, *tls_key; /* the files are both set or both NULL: then there is no https */
	char **attach_users;                     /* owned; "system:serviceaccount:NAMESPACE:NAME", ends with NULL */
	int64_t attach_timeout_ms;
	unsigned attach_waiting_max, attach_per_node_max;
	enum log_level log_level;
	enum log_format log_format;
};

/* ERROR_INVALID names setting, value, where it came from and what is accepted. */
int config_load(struct config *config, const struct settings_source *source, struct error *err);
void config_free(struct config *config);

/* config_opensm.c: OPENSM_*, for config_load(). */
int config_read_opensm(struct config *config, struct error *err);
/* OPENSM_SM_KEY; NULL is its default.  False: no number of 64 bits. */
bool config_sm_key(uint64_t *key, const char *text);
