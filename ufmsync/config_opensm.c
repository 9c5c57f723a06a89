#include <stdlib.h>
#include <string.h>

#include "ufmsync/config.h"

/* What the settings of the OpenSM backend mean. */

enum { PROVE_MS = 10 * 1000, MARGIN_MS = 2 * 1000, PORT_MAX = 254, DEVICE_MAX = 63 };

bool config_sm_key(uint64_t *key, const char *text)
{
	bool hex = text && strncmp(text, "0x", 2) == 0;
	const char *digits = hex ? text + 2 : text;

	*key = 1;
	if (!text)
		return true;
	size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	if (n == 0 || digits[n] != '\0' || n > (hex ? 16 : 19)) /* 19 decimal digits never overflow */
		return false;
	*key = strtoull(digits, NULL, hex ? 16 : 10);
	return true;
}

static int path(const struct settings *settings, enum setting id, const char **out, struct error *err)
{
	*out = settings_get(settings, id);
	return *out && **out != '/' ? settings_bad(settings, id, "it does not begin with /", err) : 0;
}

static int read_canaries(struct config *config, struct error *err)
{
	struct settings *settings = config->settings;
	struct pkey *canaries = config->opensm.canaries;
	const char *text = settings_get(settings, SETTING_OPENSM_CANARY_PKEYS), *comma = strchr(text, ',');
	char first[PKEY_TEXT_MAX] = "";

	if (!comma || (size_t)(comma - text) >= sizeof first)
		return settings_bad(settings, SETTING_OPENSM_CANARY_PKEYS, NULL, err);
	memcpy(first, text, (size_t)(comma - text));
	if (!pkey_parse(&canaries[0], first) || !pkey_parse(&canaries[1], comma + 1))
		return settings_bad(settings, SETTING_OPENSM_CANARY_PKEYS, NULL, err);
	if (canaries[0].v == canaries[1].v)
		return settings_bad(settings, SETTING_OPENSM_CANARY_PKEYS, "they are the same", err);
	for (int i = 0; i < 2; i++) {
		if (config->engine.limited.v == canaries[i].v)
			return settings_bad(settings, SETTING_DEFAULT_LIMITED_PARTITION,
					    "it is one of OPENSM_CANARY_PKEYS", err);
		pkey_set_remove(&config->engine.pkeys, canaries[i]);
	}
	return 0;
}

static int read_device(struct config *config, struct error *err)
{
	struct settings *settings = config->settings;
	struct fabric_options *fabric = &config->opensm.fabric;
	const char *port = settings_get(settings, SETTING_OPENSM_PORT);

	fabric->device = settings_get(settings, SETTING_OPENSM_DEVICE);
	if (fabric->device && (strlen(fabric->device) > DEVICE_MAX || strchr(fabric->device, '/')))
		return settings_bad(settings, SETTING_OPENSM_DEVICE, NULL, err);
	if (port) {
		size_t digits = strspn(port, "0123456789");
		unsigned long n = digits <= 3 ? strtoul(port, NULL, 10) : 0;
		if (port[digits] != '\0' || n < 1 || n > PORT_MAX)
			return settings_bad(settings, SETTING_OPENSM_PORT, NULL, err);
		fabric->port = (unsigned)n;
	}
	if (!config_sm_key(&fabric->sm_key, settings_get(settings, SETTING_OPENSM_SM_KEY)))
		return settings_bad(settings, SETTING_OPENSM_SM_KEY, NULL, err);
	return 0;
}

/* A write that was asked for is in the file within prove_ms or never (opensm.h): that is what another leader has to wait
 * for.  OpenSM may read it at any later time, but then it stands in the list that the other leader reads first. */
static void set_times(struct config *config)
{
	int64_t timeout = config->lease.duration_ms;

	if (timeout > PROVE_MS + MARGIN_MS)
		timeout = PROVE_MS + MARGIN_MS;
	config->engine.write_timeout_ms = timeout;
	config->opensm.prove_ms = timeout - (timeout / 4 < MARGIN_MS ? timeout / 4 : MARGIN_MS);
}

static int read_ways(struct config *config, struct error *err)
{
	struct settings *settings = config->settings;
	struct opensm_options *opensm = &config->opensm;
	const char *verify = settings_get(settings, SETTING_OPENSM_VERIFY);
	struct opensm_reload reload;
	struct error ignored;

	if (path(settings, SETTING_OPENSM_PARTITIONS_FILE, &opensm->file, err) < 0 ||
	    path(settings, SETTING_OPENSM_LOG, &opensm->log, err) < 0)
		return -1;
	if (!opensm->file)
		return settings_bad(settings, SETTING_OPENSM_PARTITIONS_FILE, NULL, err);
	opensm->reload = settings_get(settings, SETTING_OPENSM_RELOAD);
	int parsed = opensm_reload_parse(&reload, opensm->reload, &ignored);
	opensm_reload_free(&reload);
	if (parsed < 0)
		return settings_bad(settings, SETTING_OPENSM_RELOAD, NULL, err);
	opensm->verify = strcmp(verify, "smp") == 0;
	if (!opensm->verify && strcmp(verify, "none") != 0)
		return settings_bad(settings, SETTING_OPENSM_VERIFY, NULL, err);
	if (!opensm->verify)
		settings_add_notice(settings,
				    "OPENSM_VERIFY=none: nobody looks whether OpenSM has read the file; pods may start "
				    "before they are members, and a file that OpenSM refuses opens the fabric unseen");
	return 0;
}

static void say_unused(struct config *config)
{
	for (int id = SETTING_OPENSM_PARTITIONS_FILE; id <= SETTING_OPENSM_LOG; id++)
		if (settings_is_set(config->settings, (enum setting)id))
			settings_add_notice(config->settings, "%s is not used: DAEMON_SM_PLUGIN is not opensm",
					    setting_infos[id].name);
}

int config_read_opensm(struct config *config, struct error *err)
{
	struct settings *settings = config->settings;

	if (config->plugin != CONFIG_PLUGIN_OPENSM) {
		say_unused(config);
		return 0;
	}
	if (read_ways(config, err) < 0 || read_canaries(config, err) < 0 || read_device(config, err) < 0)
		return -1;
	set_times(config);
	config->opensm.ip_over_ib = config->ufm.ip_over_ib;
	/* OpenSM's flag moves the default partition away from index 0, where many clients expect it. */
	settings_set_default(settings, SETTING_ENABLE_INDEX0_FOR_PRIMARY_PKEY, "false");
	if (!settings_is_set(settings, SETTING_ENABLE_INDEX0_FOR_PRIMARY_PKEY))
		config->engine.index0 = false;
	if (settings_is_set(settings, SETTING_UFM_TIMEOUT))
		settings_add_notice(settings, "UFM_TIMEOUT is not used: DAEMON_SM_PLUGIN is opensm");
	return 0;
}
