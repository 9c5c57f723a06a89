#include "ufmsync/setup/report.h"

#include <assert.h>
#include <time.h>

#include "base/buf.h"

enum { DATE_MAX = 16, TEXT_MAX = 8 * 1024 };

const char *setup_report_step(enum setup_step step)
{
	static const char *const texts[] = {
		[SETUP_MAKE_KEY] = "made a record key",
		[SETUP_MAKE_CA] = "made a CA",
		[SETUP_PUBLISH] = "published the CA for the nodes",
		[SETUP_ISSUE] = "issued a certificate",
		[SETUP_TIDY] = "withdrew CAs from the nodes",
	};

	assert(step <= SETUP_TIDY);
	return texts[step];
}

const char *setup_report_would(enum setup_step step)
{
	static const char *const texts[] = {
		[SETUP_MAKE_KEY] = "make a record key",           [SETUP_MAKE_CA] = "make a CA",
		[SETUP_PUBLISH] = "publish the CA for the nodes", [SETUP_ISSUE] = "issue a certificate",
		[SETUP_TIDY] = "withdraw CAs from the nodes",
	};

	assert(step <= SETUP_TIDY);
	return texts[step];
}

static const char *date(char out[DATE_MAX], int64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&when, &tm) || strftime(out, DATE_MAX, "%Y-%m-%d", &tm) == 0)
		return "?";
	return out;
}

/* --- one line ---------------------------------------------------------------------------------------------------- */

static void add_life(struct buf *buf, const char *what, struct certificate_life life)
{
	char day[DATE_MAX];

	buf_printf(buf, "%s%s until %s", buf->len > 0 ? ", " : "", what, date(day, life.until_s));
}

static void add_right(struct buf *buf, const struct setup_facts *facts, enum setup_part part)
{
	if (part == SETUP_PART_KEY) {
		buf_text(buf, "the record key is there");
		return;
	}
	add_life(buf,
		 facts->server.state == SETUP_OURS ? "the certificate is valid"
						   : "the certificate, not made here, is valid",
		 facts->server.life);
	if (part == SETUP_PART_CERTIFICATE && facts->server.state == SETUP_OURS && facts->ca.state == SETUP_OURS)
		add_life(buf, "its CA", facts->ca.life);
}

static void add_decision(struct buf *buf, const struct setup_decision *decision)
{
	buf_printf(buf, "%s%s%s", buf->len > 0 ? "; " : "", decision->step == SETUP_TROUBLE ? "" : "waiting ",
		   decision->why);
	if (decision->cause)
		buf_printf(buf, " (%s)", decision->cause->text);
}

enum setup_step setup_report_state(char **text, const struct setup_facts *facts, const struct setup_wish *wish,
				   int64_t now_s)
{
	enum setup_step worst = SETUP_RIGHT;
	struct buf buf;

	buf_init(&buf, TEXT_MAX);
	for (int part = 0; part < SETUP_PARTS; part++) {
		struct setup_decision decision = setup_decide(facts, (enum setup_part)part, now_s);
		if (!wish->parts[part])
			continue;
		if (decision.step == SETUP_RIGHT)
			add_right(&buf, facts, (enum setup_part)part);
		else
			add_decision(&buf, &decision);
		if (decision.step > worst)
			worst = decision.step;
	}
	*text = buf_take(&buf);
	return worst;
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

static void print_life(FILE *out, struct certificate_life life)
{
	char day[DATE_MAX], renewed[DATE_MAX];

	fprintf(out, "valid until %s, renewed from %s on", date(day, life.until_s),
		date(renewed, life.until_s - (life.until_s - life.from_s) / 3));
}

static void print_row(FILE *out, const char *what, const char *where, enum setup_state state)
{
	static const char *const states[] = {
		[SETUP_ABSENT] = "is not there",
		[SETUP_BROKEN] = "cannot be used",
		[SETUP_OURS] = "",
		[SETUP_FOREIGN] = "not made here, ",
	};

	fprintf(out, "%-12s %-26s %s", what, where, states[state]);
}

static void print_key(FILE *out, const struct setup_facts *facts)
{
	print_row(out, "Record key", "Secret ufmsync-record-key", facts->key.state);
	fputs(facts->key.state == SETUP_OURS ? "is there\n" : "\n", out);
}

static void print_ca(FILE *out, const struct setup_facts *facts)
{
	print_row(out, "CA", "Secret ufmsync-ca-key", facts->ca.state);
	if (facts->ca.state == SETUP_OURS)
		print_life(out, facts->ca.life);
	fputs("\n", out);
}

static void print_server(FILE *out, const struct setup_facts *facts)
{
	char day[DATE_MAX];

	print_row(out, "Certificate", "Secret ufmsync-tls", facts->server.state);
	if (facts->server.state == SETUP_OURS)
		print_life(out, facts->server.life);
	if (facts->server.state == SETUP_FOREIGN)
		fprintf(out, "valid until %s", date(day, facts->server.life.until_s));
	fputs("\n", out);
}

static void print_trust(FILE *out, const struct setup_facts *facts)
{
	bool there = facts->trust.state == SETUP_OURS || facts->trust.state == SETUP_FOREIGN;
	bool server = facts->server.state == SETUP_OURS || facts->server.state == SETUP_FOREIGN;
	char day[DATE_MAX];

	print_row(out, "For nodes", "ConfigMap ufmsync-ca", facts->trust.state);
	if (there && server)
		fputs(facts->server.trusted ? "the certificate is trusted" : "the certificate is not trusted", out);
	else if (there)
		fputs("is there", out);
	if (there && facts->trust.has_ca && facts->trust.since_s > 0)
		fprintf(out, ", has the CA since %s", date(day, facts->trust.since_s));
	fputs("\n", out);
}

static enum setup_exit print_due(FILE *out, const struct setup_facts *facts, const struct setup_wish *wish,
				 int64_t now_s)
{
	enum setup_exit code = SETUP_EXIT_DONE;

	for (int part = 0; part < SETUP_PARTS; part++) {
		struct setup_decision decision = setup_decide(facts, (enum setup_part)part, now_s);
		if (!wish->parts[part] || decision.step == SETUP_RIGHT)
			continue;
		if (decision.step == SETUP_TROUBLE)
			code = SETUP_EXIT_FAILED;
		else if (decision.step != SETUP_WAIT && code == SETUP_EXIT_DONE)
			code = SETUP_EXIT_DUE;
		if (setup_step_writes(decision.step))
			fprintf(out, "Due          %s: %s\n", setup_report_would(decision.step), decision.why);
		else
			fprintf(out, "%-12s %s%s%s%s\n", decision.step == SETUP_TROUBLE ? "To do" : "Waits",
				decision.why, decision.cause ? " (" : "", decision.cause ? decision.cause->text : "",
				decision.cause ? ")" : "");
	}
	return code;
}

enum setup_exit setup_report(FILE *out, const struct setup_facts *facts, const struct setup_wish *wish, int64_t now_s)
{
	if (wish->parts[SETUP_PART_KEY])
		print_key(out, facts);
	if (wish->parts[SETUP_PART_CERTIFICATE])
		print_ca(out, facts);
	if (wish->parts[SETUP_PART_CERTIFICATE] || wish->parts[SETUP_PART_TRUST]) {
		print_server(out, facts);
		print_trust(out, facts);
	}
	return print_due(out, facts, wish, now_s);
}
