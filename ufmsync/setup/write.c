#include <assert.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "ufmsync/kube/yaml.h"
#include "ufmsync/setup/base64.h"
#include "ufmsync/setup/facts.h"

enum { RECORD_KEY_BYTES = 32 };

static int write_key(json_t *to, struct error *err)
{
	unsigned char bytes[RECORD_KEY_BYTES];

	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return error_set(err, ERROR_OS, "no random bytes for a record key");
	char *text = base64_of(bytes, sizeof bytes);
	explicit_bzero(bytes, sizeof bytes);
	setup_set_text(to, SETUP_RECORD_KEY, SETUP_KEY_RECORD, text);
	mem_wipe_free(text);
	return 0;
}

static int write_ca(json_t *to, const struct setup_wish *wish, int64_t now_s, struct error *err)
{
	struct certificate_pair ca;

	if (certificate_make_ca(&ca, wish->namespace, wish->names, wish->n_names, setup_new_life(SETUP_CA_DAYS, now_s),
				err) < 0)
		return -1;
	setup_set_text(to, SETUP_CA_KEY, SETUP_KEY_CERT, ca.cert);
	setup_set_text(to, SETUP_CA_KEY, SETUP_KEY_KEY, ca.key);
	certificate_pair_free(&ca);
	return 0;
}

static int write_server(json_t *to, const struct setup_objects *objects, const struct setup_wish *wish, int64_t now_s,
			struct error *err)
{
	struct certificate_pair ca = { 0 }, server;
	int result = -1;

	if (setup_text(&ca.cert, objects, SETUP_CA_KEY, SETUP_KEY_CERT, err) == 0 &&
	    setup_text(&ca.key, objects, SETUP_CA_KEY, SETUP_KEY_KEY, err) == 0 &&
	    certificate_make_server(&server, &ca, wish->names, wish->n_names, setup_new_life(wish->days, now_s), err) ==
		    0) {
		setup_set_text(to, SETUP_TLS, SETUP_KEY_CERT, server.cert);
		setup_set_text(to, SETUP_TLS, SETUP_KEY_KEY, server.key);
		setup_set_text(to, SETUP_TLS, SETUP_KEY_CA, ca.cert);
		certificate_pair_free(&server);
		result = 0;
	}
	certificate_pair_free(&ca);
	return result;
}

/* --- whom the nodes trust --- */

/* Those that the nodes have and those to be added, once each, without the ones that are of no use. */
struct bundle {
	const struct certificates *ca; /* of the certificate that is in use, or will be */
	const char *namespace;
	int64_t now_s;
	bool ours;  /* we keep the ConfigMap */
	bool tidy;  /* drop what is of no use */
	bool signs; /* `ca` is our own */
};

static bool is_kept(const struct bundle *bundle, const struct certificates *all, size_t i)
{
	if (!bundle->tidy || certificates_is_in(all, i, bundle->ca))
		return true;
	if (bundle->signs && certificates_is_own_ca(all, i, bundle->namespace))
		return false;
	return !bundle->ours || certificates_life(all, i).until_s > bundle->now_s;
}

/* `had`: what is published.  For free(). */
static char *bundle_text(const struct bundle *bundle, const struct certificates *had)
{
	bool keep[CERTIFICATES_MAX];
	size_t i;

	for (i = 0; i < certificates_count(had); i++)
		keep[i] = is_kept(bundle, had, i);
	char *old = certificates_text(had, keep);
	for (i = 0; i < certificates_count(bundle->ca); i++)
		keep[i] = !certificates_is_in(bundle->ca, i, had);
	char *new = certificates_text(bundle->ca, keep);
	char *text = mem_printf("%s%s", old, new);
	free(old);
	free(new);
	return text;
}

static int parse(struct certificates **ret, const struct setup_objects *objects, enum setup_object object,
		 const char *key, struct error *err)
{
	char *text;

	*ret = NULL;
	if (setup_text(&text, objects, object, key, err) < 0)
		return -1;
	int result = certificates_parse(ret, text, err);
	mem_wipe_free(text);
	return result;
}

static void stamp(json_t *to, int64_t now_s)
{
	time_t seconds = (time_t)now_s;
	struct tm tm;
	char text[32];

	if (gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		setup_set_annotation(to, SETUP_CA_SINCE, text);
}

static int write_trust(json_t *to, const struct setup_objects *objects, const struct setup_facts *facts,
		       const struct setup_wish *wish, bool tidy, int64_t now_s, struct error *err)
{
	bool foreign = facts->server.state == SETUP_FOREIGN || !wish->parts[SETUP_PART_CERTIFICATE];
	struct certificates *ca, *had = NULL;
	int result = -1;

	if (parse(&ca, objects, foreign ? SETUP_TLS : SETUP_CA_KEY, foreign ? SETUP_KEY_CA : SETUP_KEY_CERT, err) ==
		    0 &&
	    parse(&had, objects, SETUP_CA, SETUP_KEY_CA, err) == 0) {
		const struct bundle bundle = {
			.ca = ca,
			.namespace = wish->namespace,
			.now_s = now_s,
			.ours = facts->trust.state == SETUP_OURS,
			.tidy = tidy,
			.signs = !foreign,
		};
		char *text = bundle_text(&bundle, had);
		setup_set_text(to, SETUP_CA, SETUP_KEY_CA, text);
		free(text);
		if (!tidy && !foreign)
			stamp(to, now_s);
		result = 0;
	}
	certificates_free(ca);
	certificates_free(had);
	return result;
}

/* --- by step --- */

static enum setup_object object_of(enum setup_step step)
{
	switch (step) {
	case SETUP_MAKE_KEY:
		return SETUP_RECORD_KEY;
	case SETUP_MAKE_CA:
		return SETUP_CA_KEY;
	case SETUP_ISSUE:
		return SETUP_TLS;
	default:
		return SETUP_CA;
	}
}

int setup_write(json_t **ret, enum setup_object *which, enum setup_step step, const struct setup_objects *objects,
		const struct setup_wish *wish, int64_t now_s, struct error *err)
{
	enum setup_object object = object_of(step);
	json_t *to = setup_object_new(objects, object, wish->namespace);
	struct setup_facts facts;
	int result;

	assert(setup_step_writes(step));
	setup_look(&facts, objects, wish, now_s);
	if (object == SETUP_RECORD_KEY)
		result = write_key(to, err);
	else if (object == SETUP_CA_KEY)
		result = write_ca(to, wish, now_s, err);
	else if (object == SETUP_TLS)
		result = write_server(to, objects, wish, now_s, err);
	else
		result = write_trust(to, objects, &facts, wish, step == SETUP_TIDY, now_s, err);
	if (result < 0) {
		yaml_wipe(to);
		return -1;
	}
	*ret = to;
	*which = object;
	return 0;
}
