#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/pkey/scripted_ufm.h"

#define PORTS_ASKED "GET /ufmRest/resources/vports \n"

static void on_port(void *aux, const struct pkey_port *port)
{
	(void)aux;
	buf_printf(&said, "%llx:%s,%u,%s,%s,%u ", (unsigned long long)port->guid.v, port->state, port->lid, port->node,
		   port->device, port->number);
}

static const struct pkey_ports_sink ports_sink = { .port = on_port, .done = done };

static void assert_ports(const char *outcome)
{
	unsigned n = answers + 1;
	buf_clear(&said);
	ufm->class->list_ports(ufm, &ports_sink);
	assert_int_equal(said.len, 0);
	run_until(n);
	assert_string_equal(said.data, outcome);
	assert_asked(PORTS_ASKED);
}

static void test_virtual_ports_are_told_as_ufm_has_them(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(200,
		    "[{\"virtual_port_guid\":\"020000000000001A\",\"virtual_port_state\":\"Active\","
		    "\"virtual_port_lid\":17,\"port_guid\":\"b8cef60300aa0001\",\"port_name\":\"b8cef60300aa0001_1\","
		    "\"physical_port_number\":1,\"system_name\":\"node1\",\"node_description\":\"node1 mlx5_0\"},"
		    "{\"virtual_port_guid\":\"0x020000000000001b\",\"virtual_port_state\":\"Down\","
		    "\"virtual_port_lid\":65535,\"physical_port_number\":-1,\"system_name\":null}]");
	assert_ports("20000000000001a:Active,17,node1,node1 mlx5_0,1 20000000000001b:Down,0,,,0 none;");
	assert_string_equal(last_authorization, "Basic YWRtaW46MTIzNDU2");
	will_answer(200, " [ ] ");
	assert_ports("none;");
}

static int measured;
static void on_ended(void *aux, enum pkey_operation operation, enum call_outcome outcome, int64_t ms)
{
	(void)aux;
	assert_int_equal(operation, PKEY_LIST_PORTS);
	assert_int_equal(outcome, measured++ == 0 ? CALL_OK : CALL_FORBIDDEN);
	assert_true(ms >= 0);
}

static void test_the_request_is_measured(void **state)
{
	(void)state;
	connect_ufm();
	ufm->observer.ended = on_ended;
	will_answer(200, "[]");
	assert_ports("none;");
	will_answer(403, "no");
	assert_ports("auth;");
	assert_int_equal(measured, 2);
}

static void test_what_ufm_knows_from_a_pkey_alone_is_no_port(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(
		200,
		"[{\"virtual_port_guid\":\"020000000000001a\",\"virtual_port_state\":\"Unknown\","
		"\"virtual_port_lid\":65535},{\"virtual_port_guid\":\"020000000000001b\"},"
		"{\"virtual_port_guid\":\"0000000000000000\",\"virtual_port_state\":\"Active\",\"virtual_port_lid\":1},"
		"{\"virtual_port_guid\":7},{}]");
	assert_ports("none;");
}

static void test_what_a_port_is_called_is_cut_and_cannot_steer_a_terminal(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(200, "[{\"virtual_port_guid\":\"020000000000001a\",\"virtual_port_lid\":70000,"
			 "\"virtual_port_state\":\"Active\\u001b[2J and then so many words\","
			 "\"system_name\":\"n\\n\\u00e9\"}]");
	assert_ports("20000000000001a:Active?[2J and then so ,0,n???,,0 none;");
}

static void test_what_is_no_whole_list_of_ports_is_an_error(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(RESET, "");
	assert_ports("retry;");
	for (const char *const *body =
		     (const char *const[]){ "{}", PAGE, "", "[{}", "[7]", "[{\"a\":1,\"a\":2}]", NULL };
	     *body; body++) {
		will_answer(200, *body);
		assert_ports("retry;");
		assert_non_null(strstr(last.text, "list the virtual ports: not a whole list of virtual ports"));
	}
	will_answer(401, "no");
	assert_ports("auth;");
	will_answer(403, "no");
	assert_ports("auth;");
	will_answer(503, "no");
	assert_ports("retry;");
}

static void test_a_ufm_that_does_not_offer_ports_says_so(void **state)
{
	(void)state;
	connect_ufm();
	for (const struct answer *answer = (const struct answer[]){ { 404, PAGE, NULL },
								    { 404, "no", NULL },
								    { 405, "", NULL },
								    { 501, "", NULL },
								    { 0, NULL, NULL } };
	     answer->status; answer++) {
		will_answer(answer->status, answer->body);
		assert_ports("invalid;");
		assert_non_null(strstr(last.text, "this UFM does not tell its virtual ports"));
	}
}

static void test_ports_are_told_beside_a_write_and_two_lists_or_not_at_all(void **state)
{
	(void)state;
	connect_ufm();
	for (int i = 0; i < 4; i++)
		will_answer(WAIT, "");
	ufm->class->join(ufm, full_five, two, 2, INT64_MAX, done, NULL);
	ufm->class->list(ufm, &five, &sink);
	ufm->class->list(ufm, &five, &sink);
	ufm->class->list_ports(ufm, &ports_sink);
	run_until_held(4);
	assert_int_equal(open_most, 4);
	pkey_backend_free(ufm); /* nothing is called back, nothing is lost */
	ufm = NULL;
	assert_int_equal(answers, 0);
	options.timeout_ms = 50;
	connect_ufm();
	will_answer(WAIT, "");
	ufm->class->list_ports(ufm, &ports_sink);
	run_until(1);
	assert_string_equal(said.data, "retry;");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)
	static const struct CMUnitTest tests[] = {
		TEST(test_virtual_ports_are_told_as_ufm_has_them),
		TEST(test_the_request_is_measured),
		TEST(test_what_ufm_knows_from_a_pkey_alone_is_no_port),
		TEST(test_what_a_port_is_called_is_cut_and_cannot_steer_a_terminal),
		TEST(test_what_is_no_whole_list_of_ports_is_an_error),
		TEST(test_a_ufm_that_does_not_offer_ports_says_so),
		TEST(test_ports_are_told_beside_a_write_and_two_lists_or_not_at_all),
	};
#undef TEST
	return cmocka_run_group_tests_name("ufm_ports", tests, NULL, NULL);
}
