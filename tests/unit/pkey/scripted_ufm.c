#undef NDEBUG
#include "tests/unit/pkey/scripted_ufm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

struct answer script[SCRIPT_MAX];
unsigned scripted, asked;

struct loop *loop;
struct httpd *httpd;
struct pkey_backend *ufm;
struct secrets *secrets;
struct ufm_options options;
const char *environment[8][2];

struct buf questions, said;
char last_authorization[128], last_client[64], last_agent[128];
struct error last;
unsigned answers, n_held, open_most;
static unsigned open_now;
static struct httpd_request *held[SCRIPT_MAX];
static struct httpd_request *to_cut; /* once a member of it has arrived */

const struct guid two[2] = { { 0x1a }, { 0x1b } };
const struct pkey five = { 5 };
const struct pkey_class full_five = { { 5 }, MEMBERSHIP_FULL, true };

/* --- The server -------------------------------------------------------------------------------------------------- */

void will_answer(int status, const char *body)
{
	assert_true(scripted < SCRIPT_MAX);
	script[scripted++] = (struct answer){ .status = status, .body = body };
}

void handle(void *aux, struct httpd_request *request)
{
	const char *authorization = httpd_header(request, "Authorization");
	size_t len;
	const char *body = httpd_body(request, &len);
	(void)aux;
	buf_printf(&questions, "%s %s%s %.*s\n", httpd_method(request), httpd_path(request),
		   httpd_query(request, "guids_data") ? "?guids_data" : "", (int)len, body ? body : "");
	snprintf(last_authorization, sizeof last_authorization, "%s", authorization ? authorization : "");
	snprintf(last_agent, sizeof last_agent, "%s", httpd_header(request, "User-Agent"));
	snprintf(last_client, sizeof last_client, "%s", httpd_client_name(request) ? httpd_client_name(request) : "");
	if (asked == scripted) {
		buf_printf(&said, "unexpected %s;", httpd_path(request));
		httpd_abort(request);
		return;
	}
	const struct answer *answer = &script[asked++];
	const char *const headers[] = { answer->header, NULL };
	if (answer->status == WAIT) {
		held[n_held++] = request;
		loop_stop(loop);
		open_now++;
		open_most = open_now > open_most ? open_now : open_most;
	} else if (answer->status == RESET) {
		httpd_abort(request);
	} else if (answer->status == CUT) {
		httpd_stream_start(request, 200, "application/json", NULL);
		httpd_stream_write(request, answer->body, strlen(answer->body));
		to_cut = request;
	} else {
		httpd_answer(request, answer->status, "text/html", headers, answer->body, strlen(answer->body));
	}
}

void answer_held(unsigned i, int status, const char *body)
{
	open_now--;
	httpd_answer(held[i], status, "application/json", NULL, body, strlen(body));
}

static const char *lookup(void *aux, const char *name)
{
	(void)aux;
	for (size_t i = 0; i < array_length(environment) && environment[i][0]; i++)
		if (strcmp(environment[i][0], name) == 0)
			return environment[i][1];
	return NULL;
}

struct secrets *load(void)
{
	struct secrets *loaded = NULL;
	struct error err;
	if (secrets_load(&loaded, NULL, lookup, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return loaded;
}

int fresh(void **state)
{
	const struct httpd_options server = {
		.listen = "127.0.0.1:0", .max_connections = 64, .body_max = 1 << 20, .handle = handle
	};
	struct error err;
	(void)state;
	scripted = asked = answers = n_held = open_now = open_most = 0;
	memset(environment, 0, sizeof environment);
	environment[0][0] = "UFM_USERNAME";
	environment[0][1] = "admin";
	environment[1][0] = "UFM_PASSWORD";
	environment[1][1] = "123456";
	secrets = load();
	buf_init(&questions, 1 << 20);
	buf_init(&said, 1 << 20);
	if (loop_new(&loop, &err) < 0 || httpd_new(&httpd, loop, &server, &err) < 0)
		return -1;
	options = (struct ufm_options){
		.schema = "http",
		.address = "127.0.0.1",
		.port = httpd_port(httpd),
		.ip_over_ib = true,
		.timeout_ms = 10000,
	};
	return 0;
}

int gone(void **state)
{
	(void)state;
	pkey_backend_free(ufm);
	ufm = NULL;
	secrets_free(secrets);
	httpd_free(httpd);
	loop_free(loop);
	buf_free(&questions);
	buf_free(&said);
	return 0;
}

void connect_ufm(void)
{
	struct error err;
	if (ufm_new(&ufm, loop, &options, secrets, &err) < 0)
		fail_msg("%s", err.text);
}

/* --- What comes back --------------------------------------------------------------------------------------------- */

void done(void *aux, const struct error *err)
{
	last = err ? *err : (struct error){ 0 };
	buf_printf(&said, "%s%s;", aux ? (const char *)aux : "", error_kind_name(last.kind));
	answers++;
	loop_stop(loop);
}

static void member(void *aux, struct pkey pkey, const struct member *m)
{
	(void)aux;
	buf_printf(&said, "%x:%llx%s%s ", (unsigned)pkey.v, (unsigned long long)m->guid.v,
		   m->membership == MEMBERSHIP_LIMITED ? "l" : "f", m->index0 ? "0" : "");
	if (to_cut)
		httpd_abort(to_cut);
	to_cut = NULL;
}

static void partition(void *aux, struct pkey pkey, int listed_membership)
{
	(void)aux;
	buf_printf(&said, "%x(%d) ", (unsigned)pkey.v, listed_membership);
}

const struct pkey_list_sink sink = { .member = member, .partition = partition, .done = done };

void run_until(unsigned n)
{
	while (answers < n)
		loop_run(loop);
}

void run_until_held(unsigned n)
{
	while (n_held < n)
		loop_run(loop);
}

void assert_join(const char *outcome)
{
	unsigned n = answers + 1;
	buf_clear(&said);
	ufm->class->join(ufm, full_five, two, 2, INT64_MAX, done, NULL);
	assert_int_equal(said.len, 0);
	run_until(n);
	assert_string_equal(said.data, outcome);
}

void assert_leave(const char *outcome)
{
	unsigned n = answers + 1;
	buf_clear(&said);
	ufm->class->leave(ufm, five, two, 2, INT64_MAX, done, NULL);
	run_until(n);
	assert_string_equal(said.data, outcome);
}

void assert_list(const struct pkey *only, const char *outcome)
{
	unsigned n = answers + 1;
	buf_clear(&said);
	ufm->class->list(ufm, only, &sink);
	assert_int_equal(said.len, 0);
	run_until(n);
	assert_string_equal(said.data, outcome);
}

void assert_probe(const char *outcome)
{
	unsigned n = answers + 1;
	buf_clear(&said);
	ufm->class->probe(ufm, done, NULL);
	run_until(n);
	assert_string_equal(said.data, outcome);
}

void assert_asked(const char *lines)
{
	assert_string_equal(questions.data, lines);
	buf_clear(&questions);
	assert_int_equal(asked, scripted);
}
