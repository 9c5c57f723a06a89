#include "ufmsync/setup/plan.h"

static struct setup_decision say(enum setup_step step, const char *why)
{
	return (struct setup_decision){ .step = step, .why = why };
}

static struct setup_decision trouble(const char *why, const struct error *cause)
{
	return (struct setup_decision){ .step = SETUP_TROUBLE, .why = why, .cause = cause };
}

bool setup_step_writes(enum setup_step step)
{
	return step <= SETUP_TIDY;
}

struct certificate_life setup_new_life(unsigned days, int64_t now_s)
{
	return (struct certificate_life){ now_s - CERTIFICATE_BACKDATED_S, now_s + (int64_t)days * SETUP_DAY_S };
}

static bool is_valid(struct certificate_life life, int64_t now_s)
{
	return life.from_s <= now_s && now_s < life.until_s;
}

/* Less than a third of it is left. */
static bool is_old(struct certificate_life life, int64_t now_s)
{
	return life.until_s - now_s < (life.until_s - life.from_s) / 3;
}

static struct setup_decision decide_key(const struct setup_facts *facts)
{
	/* It is made first of all: where anything else of ours is, there was one. */
	bool lost = facts->ca.state == SETUP_OURS || facts->trust.state == SETUP_OURS;

	if (facts->key.state == SETUP_ABSENT && lost)
		return (struct setup_decision){ .step = SETUP_MAKE_KEY,
						.loss = true,
						.why = "the one that was there is gone, and what it signed is not "
						       "believed after a restart: where there is a copy of it, put it "
						       "behind the new one, with a comma between" };
	if (facts->key.state == SETUP_ABSENT)
		return say(SETUP_MAKE_KEY, "there is none");
	if (facts->key.state == SETUP_BROKEN)
		return trouble(
			"the Secret ufmsync-record-key cannot be used: correct UFMSYNC_RECORD_KEY in it (base64 of at "
			"least 32 bytes; of an old key, so that records stay valid), or delete the Secret and a new "
			"key is made",
			&facts->key.why);
	return say(SETUP_RIGHT, "");
}

/* --- a certificate that somebody else makes --- */

static struct setup_decision publish_foreign(const struct setup_facts *facts)
{
	if (facts->server.has_ca)
		return say(SETUP_PUBLISH, "the certificate comes with a CA that is not published");
	return trouble(
		"the nodes lack the CA of the certificate in ufmsync-tls: it has no ca.crt beside it, so put the CA "
		"into the ConfigMap ufmsync-ca yourself (kubectl create configmap ufmsync-ca --from-file=ca.crt)",
		NULL);
}

static struct setup_decision look_at_foreign(const struct setup_facts *facts, int64_t now_s)
{
	if (!is_valid(facts->server.life, now_s))
		return trouble("the certificate in ufmsync-tls is not valid now: whoever makes it has to renew it",
			       NULL);
	if (!facts->server.has_name)
		return trouble(
			"the certificate in ufmsync-tls is not for the name by which the nodes ask: it must be one of "
			"its alternative names",
			NULL);
	if (!facts->server.trusted)
		return trouble(
			"the certificate in ufmsync-tls is not signed by what the ConfigMap ufmsync-ca holds, so no "
			"node trusts it: put its CA there, up to the self-signed one",
			NULL);
	if (facts->trust.state == SETUP_OURS && facts->trust.has_expired)
		return say(SETUP_TIDY, "some of the CAs for the nodes have expired");
	return say(SETUP_RIGHT, "");
}

static struct setup_decision decide_trust(const struct setup_facts *facts, int64_t now_s)
{
	if (facts->server.state == SETUP_ABSENT)
		return say(SETUP_LATER, "for the Secret ufmsync-tls, which somebody else has to make");
	if (facts->server.state == SETUP_BROKEN)
		return trouble("the Secret ufmsync-tls cannot be used: correct it, or have it made anew",
			       &facts->server.why);
	if (facts->trust.state == SETUP_BROKEN)
		return trouble("the ConfigMap ufmsync-ca cannot be used: correct ca.crt in it, or delete it",
			       &facts->trust.why);
	if (facts->trust.state == SETUP_ABSENT)
		return publish_foreign(facts);
	if (facts->trust.state == SETUP_OURS && facts->server.has_ca && !facts->server.ca_published)
		return say(SETUP_PUBLISH, "the certificate comes with a CA that is not published");
	return look_at_foreign(facts, now_s);
}

/* --- our own --- */

static struct setup_decision decide_ca(const struct setup_facts *facts, int64_t now_s)
{
	if (facts->ca.state == SETUP_ABSENT)
		return say(SETUP_MAKE_CA, "there is none");
	if (!is_valid(facts->ca.life, now_s))
		return say(SETUP_MAKE_CA, "the old one is not valid now");
	if (is_old(facts->ca.life, now_s))
		return say(SETUP_MAKE_CA, "less than a third of the old one's life is left");
	if (!facts->ca.permits)
		return say(SETUP_MAKE_CA, "the old one may not sign for all names");
	if (facts->trust.state == SETUP_ABSENT || !facts->trust.has_ca)
		return say(SETUP_PUBLISH, "the nodes do not have it");
	return say(SETUP_RIGHT, "");
}

/* Why it is no good to the nodes as it is; NULL: it is. */
static const char *is_useless(const struct setup_facts *facts, int64_t now_s)
{
	if (facts->server.state == SETUP_ABSENT)
		return "there is none";
	if (!is_valid(facts->server.life, now_s))
		return "the old one is not valid now";
	if (!facts->server.has_name)
		return "the old one is not for the name by which the nodes ask";
	if (!facts->server.trusted)
		return "no node trusts the old one";
	return NULL;
}

/* The nodes must not meet it before they have its CA. */
static struct setup_decision decide_new_ca(const struct setup_facts *facts, int64_t now_s)
{
	int64_t since = facts->trust.since_s;

	if (since <= 0 || since > now_s)
		return say(SETUP_PUBLISH, "it is not known since when the nodes have it");
	if (now_s - since < SETUP_OVERLAP_S)
		return say(SETUP_WAIT, "until all nodes have the new CA, a day after its publication");
	return say(SETUP_ISSUE, "the old one is of a former CA");
}

static struct setup_decision decide_server(const struct setup_facts *facts, int64_t now_s)
{
	const char *useless = is_useless(facts, now_s);

	if (useless)
		return say(SETUP_ISSUE, useless);
	if (!facts->server.by_ca)
		return decide_new_ca(facts, now_s);
	if (is_old(facts->server.life, now_s))
		return say(SETUP_ISSUE, "less than a third of the old one's life is left");
	if (!facts->server.has_only)
		return say(SETUP_ISSUE, "the old one has other names");
	/* A server may still show the old one for a moment. */
	bool settled = now_s >= facts->server.life.from_s + CERTIFICATE_BACKDATED_S + SETUP_OVERLAP_S;
	if (settled && (facts->trust.has_expired || facts->trust.has_former))
		return say(SETUP_TIDY, "former CAs are of no use any more");
	return say(SETUP_RIGHT, "");
}

static struct setup_decision decide_certificate(const struct setup_facts *facts, int64_t now_s)
{
	if (facts->server.state == SETUP_FOREIGN)
		return decide_trust(facts, now_s);
	if (facts->server.state == SETUP_BROKEN)
		return trouble("the Secret ufmsync-tls cannot be used: correct it, or delete it and it is made anew",
			       &facts->server.why);
	if (facts->ca.state == SETUP_BROKEN)
		return trouble(
			"the Secret ufmsync-ca-key holds no CA of ours: delete it, and a new CA is made and taken over "
			"to without a break",
			&facts->ca.why);
	if (facts->trust.state == SETUP_BROKEN)
		return trouble("the ConfigMap ufmsync-ca cannot be used: correct ca.crt in it, or delete it and it is "
			       "made anew",
			       &facts->trust.why);
	struct setup_decision ca = decide_ca(facts, now_s);
	return ca.step == SETUP_RIGHT ? decide_server(facts, now_s) : ca;
}

struct setup_decision setup_decide(const struct setup_facts *facts, enum setup_part part, int64_t now_s)
{
	switch (part) {
	case SETUP_PART_KEY:
		return decide_key(facts);
	case SETUP_PART_CERTIFICATE:
		return decide_certificate(facts, now_s);
	case SETUP_PART_TRUST:
	case SETUP_PARTS:
		break;
	}
	return decide_trust(facts, now_s);
}
