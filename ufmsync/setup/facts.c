#include "ufmsync/setup/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "secrets/pem.h"
#include "ufmsync/record.h"

/* The certificates behind a key; NULL: there are none that can be read, and err says why. */
static struct certificates *certificates_of(const struct setup_objects *objects, enum setup_object object,
					    const char *key, struct error *err)
{
	struct certificates *certificates = NULL;
	char *text;

	if (setup_text(&text, objects, object, key, err) < 0)
		return NULL;
	if (certificates_parse(&certificates, text, err) < 0)
		error_wrap(err, "%s", key);
	mem_wipe_free(text);
	return certificates;
}

/* Whether certificate and key are there and fit. */
static int check_pair(const struct setup_objects *objects, enum setup_object object, struct error *err)
{
	char *cert = NULL, *key = NULL;
	int result = -1;

	if (setup_text(&cert, objects, object, SETUP_KEY_CERT, err) == 0 &&
	    setup_text(&key, objects, object, SETUP_KEY_KEY, err) == 0)
		result = pem_check_pair(cert, key, err);
	free(cert);
	mem_wipe_free(key);
	return result;
}

static void look_at_key(struct setup_facts *facts, const struct setup_objects *objects)
{
	struct record_keys *keys;
	char *text = NULL;

	if (!objects->at[SETUP_RECORD_KEY])
		return;
	facts->key.state = SETUP_BROKEN;
	if (setup_text(&text, objects, SETUP_RECORD_KEY, SETUP_KEY_RECORD, &facts->key.why) < 0)
		return;
	text[strcspn(text, "\r\n")] = '\0'; /* as ufmsyncd takes it */
	if (!*text) {
		error_set(&facts->key.why, ERROR_INVALID, SETUP_KEY_RECORD " is empty or not there");
	} else if (record_keys_parse(&keys, text, &facts->key.why) == 0) {
		facts->key.state = SETUP_OURS;
		record_keys_free(keys);
	}
	mem_wipe_free(text);
}

static void look_at_ca(struct setup_facts *facts, struct certificates **ret, const struct setup_objects *objects,
		       const struct setup_wish *wish)
{
	struct certificates *ca = NULL;

	if (!objects->at[SETUP_CA_KEY])
		return;
	facts->ca.state = SETUP_BROKEN;
	if (check_pair(objects, SETUP_CA_KEY, &facts->ca.why) < 0)
		return;
	ca = certificates_of(objects, SETUP_CA_KEY, SETUP_KEY_CERT, &facts->ca.why);
	if (!ca)
		return;
	if (!certificates_is_own_ca(ca, 0, wish->namespace)) {
		error_set(&facts->ca.why, ERROR_INVALID, "its certificate is not that of a CA made here");
		certificates_free(ca);
		return;
	}
	facts->ca.state = SETUP_OURS;
	facts->ca.life = certificates_life(ca, 0);
	facts->ca.permits = certificates_permit(ca, wish->names, wish->n_names);
	*ret = ca;
}

/* What there is besides the objects themselves while they are looked at. */
struct look {
	const struct setup_objects *objects;
	const struct setup_wish *wish;
	int64_t now_s;
	struct certificates *ca, *trust,
		*beside; /* our own CA, whom the nodes trust, what stands beside the certificate */
};

static bool is_in(const struct certificates *certificates, size_t i, const struct certificates *in)
{
	return in && certificates_is_in(certificates, i, in);
}

static void look_at_trust(struct setup_facts *facts, struct look *look)
{
	const json_t *object = look->objects->at[SETUP_CA];
	const char *since = json_str(object, "metadata", "annotations", SETUP_CA_SINCE, NULL);
	bool managed = setup_is_managed(look->objects, SETUP_CA);
	int64_t ms;

	if (!object)
		return;
	struct certificates *trust = certificates_of(look->objects, SETUP_CA, SETUP_KEY_CA, &facts->trust.why);
	facts->trust.state = !trust ? SETUP_BROKEN : managed ? SETUP_OURS : SETUP_FOREIGN;
	if (!trust)
		return;
	facts->trust.has_ca = look->ca && certificates_is_in(look->ca, 0, trust);
	if (since && json_time_ms(&ms, since))
		facts->trust.since_s = ms / 1000;
	for (size_t i = 0; i < certificates_count(trust); i++) {
		bool expired = certificates_life(trust, i).until_s <= look->now_s, current = is_in(trust, i, look->ca);
		/* One that stands beside the certificate would only come back. */
		facts->trust.has_expired |= managed && expired && !current && !is_in(trust, i, look->beside);
		facts->trust.has_former |= !current && certificates_is_own_ca(trust, i, look->wish->namespace);
	}
	look->trust = trust;
}

static void look_at_ca_beside(struct setup_facts *facts, const struct look *look)
{
	facts->server.has_ca = look->beside && certificates_count(look->beside) > 0;
	facts->server.ca_published = facts->server.has_ca;
	for (size_t i = 0; facts->server.ca_published && i < certificates_count(look->beside); i++)
		facts->server.ca_published = is_in(look->beside, i, look->trust);
}

static void look_at_server(struct setup_facts *facts, const struct look *look)
{
	const struct setup_wish *wish = look->wish;

	if (!look->objects->at[SETUP_TLS])
		return;
	facts->server.state = SETUP_BROKEN;
	if (check_pair(look->objects, SETUP_TLS, &facts->server.why) < 0)
		return;
	struct certificates *server = certificates_of(look->objects, SETUP_TLS, SETUP_KEY_CERT, &facts->server.why);
	if (!server)
		return;
	facts->server.state = certificates_is_of_own_ca(server, 0, wish->namespace) ? SETUP_OURS : SETUP_FOREIGN;
	facts->server.life = certificates_life(server, 0);
	facts->server.by_ca = look->ca && certificates_is_signed_by(server, look->ca);
	facts->server.has_name = certificates_have_name(server, wish->names[0]);
	facts->server.has_only = certificates_have_only(server, wish->names, wish->n_names);
	facts->server.trusted = look->trust && certificates_are_trusted(server, look->trust, look->now_s);
	look_at_ca_beside(facts, look);
	certificates_free(server);
}

void setup_look(struct setup_facts *facts, const struct setup_objects *objects, const struct setup_wish *wish,
		int64_t now_s)
{
	struct look look = { .objects = objects, .wish = wish, .now_s = now_s };
	struct error ignored;

	*facts = (struct setup_facts){ 0 };
	look_at_key(facts, objects);
	look_at_ca(facts, &look.ca, objects, wish);
	look.beside = certificates_of(objects, SETUP_TLS, SETUP_KEY_CA, &ignored);
	look_at_trust(facts, &look);
	look_at_server(facts, &look);
	certificates_free(look.ca);
	certificates_free(look.trust);
	certificates_free(look.beside);
}
