#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "pkey/opensm.h"
#include "pkey/ufm.h"
#include "pkey/ufm_enforcement.h"
#include "secrets/pem.h"
#include "ufmsync/ctl/doctor.h"

enum { SOON_DAYS = 30, DAY_MS = 24 * 60 * 60 * 1000 };

/* --- certificates ----------------------------------------------------------------------------------------------- */

void doctor_look_at_certificate(struct doctor *doctor, const char *check, const char *text, const char *renew)
{
	char *pem = NULL;
	char date[28];
	struct error err;

	if (!text)
		return;
	if (pem_decode(&pem, text, &err) < 0 || pem_check_certificate(pem, &err) < 0) {
		doctor_say(doctor, DOCTOR_FAILURE, check, "is no certificate: %s", err.text);
		mem_wipe_free(pem);
		return;
	}
	int64_t ends_ms = pem_not_after(pem) * 1000, left_ms = ends_ms - loop_wall_ms();
	json_micro_time(date, ends_ms);
	date[10] = '\0';
	mem_wipe_free(pem);
	if (left_ms <= 0)
		doctor_say(doctor, DOCTOR_FAILURE, check, "was valid until %s: %s", date, renew);
	else if (left_ms < SOON_DAYS * INT64_C(1) * DAY_MS)
		doctor_say(doctor, DOCTOR_WARNING, check, "is valid for only %lld more days, until %s: %s",
			   (long long)(left_ms / DAY_MS), date, renew);
	else
		doctor_say(doctor, DOCTOR_OK, check, "valid until %s", date);
}

/* --- settings --------------------------------------------------------------------------------------------------- */

static void look_at_secret(struct doctor *doctor)
{
	const struct config *config = &doctor->direct->config;
	const struct secrets *secrets = settings_secrets(config->settings);

	doctor_look_at_certificate(doctor, "UFM_CERTIFICATE", secrets_get(secrets, SECRET_UFM_CERTIFICATE),
				   "put UFM's present certificate, or its CA's, into the Secret");
	doctor_look_at_certificate(doctor, "UFM_CLIENT_CERT", secrets_get(secrets, SECRET_UFM_CLIENT_CERT),
				   "have a new client certificate issued, and put it into the Secret");
	if (doctor->direct->unverified)
		doctor_say(
			doctor, DOCTOR_WARNING, "record key",
			"UFMSYNC_RECORD_KEY is not in this environment; the service needs it: openssl rand -base64 32");
	else
		doctor_say(doctor, DOCTOR_OK, "record key", "UFMSYNC_RECORD_KEY is set");
}

void doctor_look_at_settings(struct doctor *doctor)
{
	const char *notice;
	struct error err;

	if (direct_open(&doctor->direct, doctor->reach, &err) < 0) {
		doctor->direct = NULL;
		doctor_say(doctor, DOCTOR_FAILURE, "settings", "%s", err.text);
		return;
	}
	doctor_say(doctor, DOCTOR_OK, "settings", "can be read");
	for (size_t i = 0; (notice = settings_notice(doctor->direct->config.settings, i)); i++)
		if (strncmp(notice, "UFMSYNC_RECORD_KEY", strlen("UFMSYNC_RECORD_KEY")) != 0)
			doctor_say(doctor, DOCTOR_WARNING, "settings", "%s", notice);
	look_at_secret(doctor);
}

/* --- the fabric manager ----------------------------------------------------------------------------------------- */

struct asking {
	struct doctor *doctor;
	struct reach_exchange exchange;
	struct error err; /* of kind NONE: it went well */
	enum ufm_enforcement enforcement;
	int membership; /* of the default partition, as UFM lists it; -1: not said */
};

static void on_done(void *aux, const struct error *err)
{
	struct asking *asking = aux;

	if (err)
		asking->err = *err;
	asking->exchange.done = true;
	loop_stop(asking->exchange.reach->loop);
}

static void on_member(void *aux, struct pkey pkey, const struct member *member)
{
	(void)aux, (void)pkey, (void)member;
}

static void on_partition(void *aux, struct pkey pkey, int membership)
{
	struct asking *asking = aux;

	if (pkey.v == PKEY_MANAGEMENT)
		asking->membership = membership;
}

static void begin(struct asking *asking, struct doctor *doctor)
{
	*asking = (struct asking){ .doctor = doctor, .exchange = { .reach = doctor->reach }, .membership = -1 };
	doctor->reach->began_ms = loop_now_ms();
}

static void look_at_default_partition(struct doctor *doctor)
{
	const struct pkey management = { PKEY_MANAGEMENT };
	struct pkey_backend *backend = doctor->direct->backend;
	struct asking asking;

	begin(&asking, doctor);
	backend->class->list(backend, &management,
			     &(struct pkey_list_sink){ on_member, on_partition, on_done, &asking });
	reach_wait(&asking.exchange, "asking UFM");
	if (asking.err.kind != ERROR_NONE)
		doctor_say(doctor, DOCTOR_FAILURE, "default partition", "UFM: %s", asking.err.text);
	else if (asking.membership == MEMBERSHIP_LIMITED)
		doctor_say(doctor, DOCTOR_OK, "default partition", "0x7fff gives limited membership");
	else if (asking.membership == MEMBERSHIP_FULL)
		doctor_say(
			doctor, DOCTOR_FAILURE, "default partition",
			"0x7fff makes every port a full member, so pods of all PKeys reach each other through it: set "
			"default_membership = limited in UFM's gv.cfg");
	else
		doctor_say(doctor, DOCTOR_WARNING, "default partition",
			   "this UFM does not say what 0x7fff gives (6.19 and later do): see that gv.cfg has "
			   "default_membership = limited");
}

static void on_enforcement(void *aux, enum ufm_enforcement enforcement)
{
	struct asking *asking = aux;

	asking->enforcement = enforcement;
	asking->exchange.done = true;
	loop_stop(asking->exchange.reach->loop);
}

static void look_at_enforcement(struct doctor *doctor)
{
	const struct config *config = &doctor->direct->config;
	struct ufm_enforcement_ask *ask;
	struct asking asking;
	struct error err;

	begin(&asking, doctor);
	if (ufm_enforcement_ask(&ask, doctor->reach->loop, &config->ufm, settings_secrets(config->settings),
				on_enforcement, &asking, &err) < 0) {
		doctor_say(doctor, DOCTOR_FAILURE, "enforcement", "%s", err.text);
		return;
	}
	reach_wait(&asking.exchange, "asking UFM");
	ufm_enforcement_free(ask);
	if (asking.enforcement == UFM_ENFORCEMENT_ON)
		doctor_say(doctor, DOCTOR_OK, "enforcement", "the subnet manager enforces partitions");
	else if (asking.enforcement == UFM_ENFORCEMENT_OFF)
		doctor_say(doctor, DOCTOR_FAILURE, "enforcement",
			   "the subnet manager does not enforce partitions, so PKeys keep nobody apart: set "
			   "no_partition_enforcement = false in UFM's gv.cfg");
	else
		doctor_say(
			doctor, DOCTOR_WARNING, "enforcement",
			"UFM does not say, or not to this user: see that gv.cfg has no_partition_enforcement = false");
}

static void look_at_ufm(struct doctor *doctor)
{
	struct pkey_backend *backend = doctor->direct->backend;
	struct asking asking;

	begin(&asking, doctor);
	backend->class->probe(backend, on_done, &asking);
	reach_wait(&asking.exchange, "asking UFM");
	if (asking.err.kind != ERROR_NONE) {
		doctor_say(doctor, DOCTOR_FAILURE, "UFM", "%s", asking.err.text);
		return;
	}
	const char *version = ufm_version(backend);
	doctor_say(doctor, DOCTOR_OK, "UFM", "answers and lets us in, version %s", *version ? version : "not said");
	look_at_default_partition(doctor);
	look_at_enforcement(doctor);
}

static void on_finding(void *aux, const struct opensm_finding *finding)
{
	static const enum doctor_state states[] = {
		[OPENSM_FINE] = DOCTOR_OK, [OPENSM_WARNING] = DOCTOR_WARNING, [OPENSM_FAILURE] = DOCTOR_FAILURE
	};
	struct asking *asking = aux;

	doctor_say(asking->doctor, states[finding->level], "OpenSM", "%s", finding->text);
}

static void look_at_opensm(struct doctor *doctor)
{
	unsigned before = doctor->failures + doctor->warnings;
	struct asking asking;

	begin(&asking, doctor);
	opensm_preflight(doctor->direct->backend, on_finding, on_done, &asking);
	reach_wait(&asking.exchange, "asking OpenSM");
	if (before == doctor->failures + doctor->warnings)
		doctor_say(doctor, DOCTOR_OK, "OpenSM", "nothing is in the way");
}

void doctor_look_at_fabric(struct doctor *doctor)
{
	struct direct *direct = doctor->direct;
	struct error err;

	if (!direct)
		return;
	if (direct->config.plugin == CONFIG_PLUGIN_NOOP) {
		doctor_say(doctor, DOCTOR_WARNING, "fabric manager",
			   "DAEMON_SM_PLUGIN=noop: GUIDs are given, and no partition is ever changed");
	} else if (direct_new_backend(direct, &err) < 0) {
		doctor_say(doctor, DOCTOR_FAILURE, "fabric manager", "%s", err.text);
	} else if (direct->config.plugin == CONFIG_PLUGIN_UFM) {
		look_at_ufm(doctor);
	} else {
		look_at_opensm(doctor);
	}
}
