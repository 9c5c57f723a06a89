#include <string.h>

#include "base/mem.h"
#include "pkey/ufm.h"
#include "secrets/pem.h"
#include "ufmsync/service_parts.h"

/* Rotated credentials are taken up while the service runs: all of one state of the Secret or none of it. */

enum { LOOK_MS = 5 * 1000 };

static const struct secrets *current_secrets(const struct service *service)
{
	return service->secrets ? service->secrets : settings_secrets(service->config->settings);
}

/* A Secret that was replaced without its record key must not end the signing unseen: after the next restart nothing would
 * be believed any more. */
static int read_keys(struct record_keys **keys, const struct service *service, const struct secrets *fresh,
		     struct error *err)
{
	const char *text = secrets_get(fresh, SECRET_RECORD_KEY);

	*keys = NULL;
	if (text)
		return record_keys_parse(keys, text, err) < 0 ? error_wrap(err, "UFMSYNC_RECORD_KEY") : 0;
	if (secrets_get(current_secrets(service), SECRET_RECORD_KEY))
		return error_set(
			err, ERROR_INVALID,
			"UFMSYNC_RECORD_KEY is missing, and records are signed with it; put it back, or restart "
			"to go on without records");
	return 0;
}

static int take_secrets(struct service *service, const struct secrets *fresh, struct error *err)
{
	struct record_keys *keys;

	if (read_keys(&keys, service, fresh, err) < 0)
		return -1;
	if (service->config->plugin == CONFIG_PLUGIN_UFM && ufm_set_secrets(service->backend, fresh, err) < 0) {
		record_keys_free(keys);
		return -1;
	}
	if (service->config->plugin == CONFIG_PLUGIN_OPENSM && service_opensm_set_secrets(service, fresh, err) < 0) {
		record_keys_free(keys);
		return -1;
	}
	engine_set_keys(service->engine, keys);
	record_keys_free(service->record_keys);
	service->record_keys = keys;
	engine_retry(service->engine, loop_now_ms());
	return 0;
}

static int64_t not_after(const struct secrets *secrets, enum secret_id id)
{
	const char *pem = secrets_get(secrets, id);

	return pem ? pem_not_after(pem) : 0;
}

/* Reading a certificate is too slow to be done for each who asks. */
static void note_certificates(struct service *service, const struct secrets *secrets)
{
	const struct config *config = service->config;

	if (config->plugin != CONFIG_PLUGIN_UFM || strcmp(config->ufm.schema, "https") != 0)
		return;
	service->metrics.ufm_not_after_s = config->ufm.insecure ? 0 : not_after(secrets, SECRET_UFM_CERTIFICATE);
	service->metrics.ufm_client_not_after_s =
		config->ufm.auth == UFM_AUTH_MTLS ? not_after(secrets, SECRET_UFM_CLIENT_CERT) : 0;
}

static bool is_same(const char *a, const char *b)
{
	return !a || !b ? a == b : strcmp(a, b) == 0;
}

/* The published Secret holds more than credentials. */
static void say_what_needs_a_restart(const struct secrets *old, const struct secrets *fresh)
{
	for (int id = 0; id < SETTING_COUNT; id++) {
		const char *name = setting_infos[id].name;
		if (!setting_infos[id].secret && !is_same(secrets_other(old, name), secrets_other(fresh, name)))
			log_say(LOG_WARN, "RESTART_NEEDED", LOG_FIELDS({ "setting", name }),
				"%s was changed in the mounted Secret: it counts after a restart", name);
	}
}

static void look(struct service *service)
{
	const struct secrets *current = current_secrets(service);
	struct secrets *fresh = NULL;
	struct error err = { 0 };

	if (!secrets_stale(current))
		return;
	if (settings_reload_secrets(service->config->settings, &fresh, &err) < 0 ||
	    (!secrets_equal(current, fresh) && take_secrets(service, fresh, &err) < 0)) {
		log_limited(&service->secrets_limit, 5, LOG_ERROR, "SECRET_BAD", NULL,
			    "the rotated Secret is not taken up, the old one stays in use: %s", err.text);
		secrets_free(fresh);
		return;
	}
	if (!secrets_equal(current, fresh)) {
		log_say(LOG_INFO, "SECRET_ROTATED", NULL, "new credentials are in use");
		say_what_needs_a_restart(current, fresh);
	}
	note_certificates(service, fresh);
	secrets_free(service->secrets);
	service->secrets = fresh;
}

static void on_timer(struct loop_timer *timer)
{
	struct service *service = container_of(timer, struct service, secrets_timer);

	loop_timer_at(timer, loop_now_ms() + LOOK_MS);
	engine_set_wall_offset(service->engine, loop_wall_ms() - loop_now_ms());
	look(service);
}

void service_look_for_secrets(struct service *service)
{
	note_certificates(service, current_secrets(service));
	loop_timer_init(&service->secrets_timer, service->loop, on_timer);
	loop_timer_at(&service->secrets_timer, loop_now_ms() + LOOK_MS);
}
