#undef NDEBUG
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/cni/webhook/webhook_world.h"

/* Who may ask, and how much. */

#define GOOD_BODY                                                                                                      \
	"{\"pod\":{\"namespace\":\"ns\",\"name\":\"p-u1\",\"uid\":\"u1\"},\"interface\":\"net1\",\"networkName\":"     \
	"\"ib\"}"

/* What is refused, and that it was said once, without the token. */
static void refused(const char *token, int status, const char *code, enum webhook_notice notice, const char *words)
{
	char *start = mem_printf("{\"error\":{\"code\":\"%s\",\"message\":\"", code);
	unsigned before = world.notices[notice];
	struct exchange x = { 0 };

	world_ask(&x, token, "u1", "net1");
	exchange_wait();
	exchange_assert_answered(&x, status, NULL);
	assert_int_equal(strncmp(x.body, start, strlen(start)), 0);
	assert_null(strstr(x.body, "retry"));
	assert_non_null(strstr(x.body, words));
	assert_int_equal(world.notices[notice], before + 1);
	assert_non_null(strstr(world.detail, "127.0.0.1"));
	assert_non_null(strstr(world.detail, words));
	assert_null(strstr(world.detail, "secret"));
	assert_true((x.retry_after_ms == 5000) == (status == 429 || status == 503));
	exchange_free(&x);
	free(start);
}

static void test_what_is_asked_about_a_token(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	world_add("u1", "n1", 1);
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_guid(&x, 1);
	assert_string_equal(world.method, "POST");
	assert_string_equal(world.path, "/v1/attach");
	assert_true(world.node_asked);
}

static void test_a_token_that_is_nobody_s_or_missing_is_401(void **state)
{
	static const char *const none[] = { "Accept: */*", NULL };
	static const char *const basic[] = { "Authorization: Basic node:n1", "X-Ufmsync-Token: node:n1", NULL };
	static const char *const empty[] = { "Authorization: Bearer ", NULL };
	static const char *const *const all[] = { none, basic, empty };

	(void)state;
	world_add("u1", "n1", 1);
	refused("secret", 401, "Unauthorized", WEBHOOK_UNAUTHENTICATED, "nobody's token");
	for (size_t i = 0; i < array_length(all); i++) {
		struct exchange x = { 0 };

		world_send(&x, "POST", all[i], GOOD_BODY);
		world_wait(&x, 401, "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"there is no bearer token\"}}");
	}
	assert_int_equal(world_counts().unauthenticated, 4);
	assert_int_equal(world.asks, 1);
}

static void test_the_other_header_does_where_authorization_is_absent(void **state)
{
	static const char *const other[] = { "X-Ufmsync-Token: node:n1", NULL };
	static const char *const lower[] = { "authorization: bearer   node:n1", NULL };
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	world_add("u1", "n1", 1);
	world_send(&x[0], "POST", other, GOOD_BODY);
	world_wait_guid(&x[0], 1);
	world_send(&x[1], "POST", lower, GOOD_BODY);
	world_wait_guid(&x[1], 1);
}

static void test_who_may_not_is_403(void **state)
{
	(void)state;
	world_add("u1", "n1", 1);
	refused("forbidden", 403, "Forbidden", WEBHOOK_FORBIDDEN, "may not");
	refused("user:clerk", 403, "Forbidden", WEBHOOK_FORBIDDEN, "none of those who may ask");
	refused("nonode", 403, "Forbidden", WEBHOOK_FORBIDDEN, "no pod that runs on a node");
	refused("node:", 403, "Forbidden", WEBHOOK_FORBIDDEN, "no pod that runs on a node");
	assert_int_equal(world_counts().forbidden, 4);
}

static void test_another_node_s_pod_is_403_known_or_read(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);

	(void)state;
	refused("node:n2", 403, "WrongNode", WEBHOOK_WRONG_NODE, "n2");
	refused("node:n", 403, "WrongNode", WEBHOOK_WRONG_NODE, "n");
	pod->known = false;
	refused("node:n2", 403, "WrongNode", WEBHOOK_WRONG_NODE, "n2");
	pod->known = false;
	world.reads_show_nothing = true;
	refused("node:n2", 403, "WrongNode", WEBHOOK_WRONG_NODE, "n2");
	assert_int_equal(world_counts().forbidden, 4);
	assert_int_equal(world_counts().waiting, 0);
}

static void test_those_of_another_node_do_not_spoil_a_read_that_is_shared(void **state)
{
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	world_add("u1", "n1", 1)->known = false;
	world.reads_wait = true;
	world_ask(&x[0], "node:n2", "u1", "net1");
	world_ask(&x[1], "node:n1", "u1", "net1");
	world_until_waiting(2);
	world_answer_reads();
	world_wait(&x[0], 403, NULL);
	world_wait_guid(&x[1], 1);
}

static void test_a_review_that_cannot_be_had_is_503(void **state)
{
	(void)state;
	refused("unavailable", 503, "Unavailable", WEBHOOK_UNAVAILABLE, "is away");
	world_restart(&(struct webhook_options){ .timeout_ms = 20 });
	refused("late:n1", 503, "Unavailable", WEBHOOK_UNAVAILABLE, "in time");
	assert_int_equal(world.asks_cancelled, 1);
	assert_int_equal(world_counts().unavailable, 1);
}

static void test_a_client_that_leaves_while_it_is_asked_about_is_forgotten(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	world_ask(&x, "late:n1", "u1", "net1");
	world_until_waiting(1);
	http_cancel(x.request);
	world_until_waiting(0);
	assert_int_equal(world.asks_cancelled, 1);
	exchange_forget(&x);
}

static void test_a_late_review_is_as_good(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	world_add("u1", "n1", 1);
	world_ask(&x, "late:n1", "u1", "net1");
	world_until_waiting(1);
	world_release_asks();
	world_wait_guid(&x, 1);
}

static void test_what_is_no_such_request_is_400_but_only_for_who_may_ask(void **state)
{
	static const char *const good[] = { "Authorization: Bearer node:n1", NULL };
	static const char *const bad[] = { "Authorization: Bearer secret", NULL };
	struct exchange x[3] = { { 0 }, { 0 }, { 0 } };

	(void)state;
	world_send(&x[0], "POST", good, "{}");
	world_wait(&x[0], 400, "{\"error\":{\"code\":\"BadRequest\",\"message\":\"pod.namespace is missing\"}}");
	world_send(&x[1], "POST", bad, "{}");
	world_wait(&x[1], 401, NULL);
	world_send(&x[2], "POST", good, "");
	world_wait(&x[2], 400, NULL);
	assert_int_equal(world_counts().bad, 2);
	assert_int_equal(world.notices[WEBHOOK_BAD_REQUEST], 2);
}

static void test_other_methods_are_405_and_large_bodies_413(void **state)
{
	static const char *const headers[] = { "Authorization: Bearer node:n1", NULL };
	char *body = mem_alloc(WEBHOOK_BODY_MAX + 2);
	struct exchange x[4] = { { 0 }, { 0 }, { 0 }, { 0 } };

	(void)state;
	world_send(&x[0], "DELETE", headers, NULL);
	world_wait(&x[0], 405, NULL);
	world_send(&x[1], "PUT", headers, GOOD_BODY);
	world_wait(&x[1], 405, NULL);
	assert_non_null(strstr(world.detail, "405: 127.0.0.1")); /* what the log says */
	memset(body, ' ', WEBHOOK_BODY_MAX + 1);
	world_send(&x[2], "POST", headers, body);
	world_wait(&x[2], 413, NULL);
	assert_non_null(strstr(world.detail, "413: "));
	body[WEBHOOK_BODY_MAX] = '\0';
	world_send(&x[3], "POST", headers, body);
	world_wait(&x[3], 400, NULL);
	assert_int_equal(world_counts().bad, 4);
	free(body);
}

static void test_a_node_has_only_so_many_places(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1), *other = world_add("u2", "n2", 1);
	struct exchange x[4] = { { 0 }, { 0 }, { 0 }, { 0 } };

	(void)state;
	world_restart(&(struct webhook_options){ .per_node_max = 2 });
	pod->networks[0].attachable = other->networks[0].attachable = false;
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_ask(&x[1], "node:n1", "u1", "net1");
	world_ask(&x[2], "node:n2", "u2", "net1");
	world_until_waiting(3);
	/* The third is told so while the others wait. */
	world_ask(&x[3], "node:n1", "u1", "net1");
	while (!x[3].done)
		exchange_turns(1);
	exchange_assert_answered(&x[3], 429, NULL);
	assert_int_equal(x[3].retry_after_ms, 5000);
	assert_non_null(strstr(x[3].body, "TooManyOfNode"));
	assert_int_equal(world.notices[WEBHOOK_TOO_MANY_OF_NODE], 1);
	exchange_free(&x[3]);
	pod->networks[0].attachable = other->networks[0].attachable = true;
	webhook_all_changed(world.webhook);
	for (int i = 0; i < 3; i++)
		world_wait_guid(&x[i], 1);
	x[3] = (struct exchange){ 0 };
	world_ask(&x[3], "node:n1", "u1", "net1");
	world_wait_guid(&x[3], 1);
	assert_int_equal(world_counts().too_many_node, 1);
}

static void test_all_places_together_count_those_that_are_asked_about(void **state)
{
	struct exchange x[3] = { { 0 }, { 0 }, { 0 } };

	(void)state;
	world_restart(&(struct webhook_options){ .waiting_max = 2 });
	world_add("u1", "n1", 1)->networks[0].attachable = false;
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_ask(&x[1], "late:n1", "u1", "net1");
	world_until_waiting(2);
	world_ask(&x[2], "node:n1", "u1", "net1");
	while (!x[2].done)
		exchange_turns(1);
	exchange_assert_answered(&x[2], 503, NULL);
	assert_int_equal(x[2].retry_after_ms, 5000);
	assert_non_null(strstr(x[2].body, "TooMany"));
	exchange_free(&x[2]);
	assert_int_equal(world_counts().too_many, 1);
	assert_int_equal(world.notices[WEBHOOK_TOO_MANY], 1);
	world.pods[0].networks[0].attachable = true;
	world_changed(&world.pods[0]);
	world_release_asks();
	world_wait_guid(&x[0], 1);
	world_wait_guid(&x[1], 1);
}

static void ready(const char *token, int status, const char *body)
{
	char *authorization = mem_printf("Authorization: Bearer %s", token);
	const char *const headers[] = { authorization, NULL };
	struct exchange x = { 0 };

	world_send(&x, "GET", headers, NULL);
	world_wait(&x, status, body);
	free(authorization);
}

static void test_whether_it_is_ready_is_told_to_those_who_may_ask(void **state)
{
	(void)state;
	ready("node:n1", 200, "{\"ready\":true,\"leader\":\"ufmsync-0\",\"message\":\"this replica leads\"}");
	assert_string_equal(world.method, "GET");
	world.leads = false;
	ready("nonode", 200, "{\"ready\":true,\"leader\":\"ufmsync-0\",\"message\":\"another replica leads\"}");
	world.held = false;
	ready("node:n1", 200, "{\"ready\":false,\"leader\":\"ufmsync-0\",\"message\":\"no replica leads\"}");
	ready("user:other", 403, NULL);
	ready("secret", 401, NULL);
	assert_int_equal(world_counts().waiting, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_asked_about_a_token),
		TEST(a_token_that_is_nobody_s_or_missing_is_401),
		TEST(the_other_header_does_where_authorization_is_absent),
		TEST(who_may_not_is_403),
		TEST(another_node_s_pod_is_403_known_or_read),
		TEST(those_of_another_node_do_not_spoil_a_read_that_is_shared),
		TEST(a_review_that_cannot_be_had_is_503),
		TEST(a_client_that_leaves_while_it_is_asked_about_is_forgotten),
		TEST(a_late_review_is_as_good),
		TEST(what_is_no_such_request_is_400_but_only_for_who_may_ask),
		TEST(other_methods_are_405_and_large_bodies_413),
		TEST(a_node_has_only_so_many_places),
		TEST(all_places_together_count_those_that_are_asked_about),
		TEST(whether_it_is_ready_is_told_to_those_who_may_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
