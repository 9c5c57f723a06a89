#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/unit/ufmsync/kube/api.h"
#include "ufmsync/kube/lease.h"

/* A Lease's life against an API server that keeps one, or says nothing, or refuses. */

enum { DURATION_MS = 1000, DEADLINE_MS = 400, RETRY_MS = 20, LINGER_MS = 60 * 1000, NEVER_MS = 3600 * 1000 };

static json_t *stored; /* NULL: there is none */
static int version;
static bool silent;
static unsigned refused; /* writes to be refused with this status; 0: none */
static struct httpd_request *held;
static struct lease *lease;
static const char *annotation; /* to be put there */
static int64_t quiet_until, doubt_until;

static int setup(void **state)
{
	stored = NULL;
	version = 100;
	silent = false;
	refused = 0;
	held = NULL;
	lease = NULL;
	annotation = NULL;
	return api_setup(state);
}

static int teardown(void **state)
{
	lease_free(lease);
	json_decref(stored);
	return api_teardown(state);
}

/* --- the server --- */

static void store(json_t *object)
{
	char text[16];

	json_decref(stored);
	stored = object;
	snprintf(text, sizeof text, "%d", ++version);
	if (!json_object_get(object, "metadata"))
		json_object_set_new(object, "metadata", json_object());
	json_object_set_new(json_object_get(object, "metadata"), "resourceVersion", json_string(text));
}

static void store_text(const char *text)
{
	struct error err;
	json_t *object = json_parse(text, strlen(text), &err);

	assert_non_null(object);
	store(object);
}

static void status(struct httpd_request *request, int code)
{
	char text[128];

	snprintf(text, sizeof text, "{\"kind\":\"Status\",\"code\":%d,\"message\":\"as the test wants it\"}", code);
	api_json(request, code, text);
}

static void answer_write(struct httpd_request *request)
{
	struct error err;
	size_t len;
	const char *text = httpd_body(request, &len);
	json_t *object = json_parse(text, len, &err);
	bool create = strcmp(httpd_method(request), "POST") == 0;
	const char *was = json_str(stored, "metadata", "resourceVersion", NULL);
	const char *is = json_str(object, "metadata", "resourceVersion", NULL);

	assert_non_null(object);
	if (refused || (create ? was != NULL : !was || !is || strcmp(was, is) != 0)) {
		status(request, refused ? (int)refused : !create && !was ? 404 : 409);
		json_decref(object);
		return;
	}
	store(object);
	char *answer = json_dumps(stored, JSON_COMPACT);
	api_json(request, create ? 201 : 200, answer);
	free(answer);
}

static void serve(struct httpd_request *request, unsigned n)
{
	(void)n;
	if (silent) {
		held = request;
	} else if (strcmp(httpd_method(request), "GET") != 0) {
		answer_write(request);
	} else if (stored) {
		char *answer = json_dumps(stored, JSON_COMPACT);
		api_json(request, 200, answer);
		free(answer);
	} else {
		status(request, 404);
	}
}

static const char *stored_spec(const char *key)
{
	return json_str(stored, "spec", key, NULL);
}

/* --- the user --- */

static void on_leading(void *aux, int64_t until, int64_t doubt, const char *text)
{
	(void)aux;
	quiet_until = until;
	doubt_until = doubt;
	buf_printf(&api_log, "leads %s%s%s;", until > loop_now_ms() ? "quietly" : "at once", text ? " " : "",
		   text ? text : "");
}

static void on_lost(void *aux)
{
	(void)aux;
	buf_text(&api_log, "lost;");
}

static const char *annotate(void *aux, const char *current)
{
	(void)aux;
	return current && annotation && strcmp(current, annotation) == 0 ? NULL : annotation;
}

static void on_trouble(void *aux, const struct error *err)
{
	(void)aux;
	if (!err)
		buf_text(&api_log, "well;");
	else if (err->kind != ERROR_RETRY) /* how often one is silent is no promise */
		buf_printf(&api_log, "%s;", error_kind_name(err->kind));
}

static void on_released(void *aux)
{
	(void)aux;
	buf_text(&api_log, "released;");
}

static struct lease *make_with(const char *identity, const struct lease_times *times)
{
	const struct lease_options options = {
		.namespace = "ns",
		.name = "l",
		.identity = identity,
		.annotation = "note",
		.times = *times,
		.linger_ms = LINGER_MS,
		.leading = on_leading,
		.lost = on_lost,
		.annotate = annotate,
		.trouble = on_trouble,
	};

	api_serve(serve);
	return lease_new(api_loop, api_kube, &options);
}

static struct lease *make(const char *identity, int64_t retry_ms)
{
	return make_with(identity, &(struct lease_times){ DURATION_MS, DEADLINE_MS, retry_ms });
}

static const char anothers[] = "{\"metadata\":{\"name\":\"l\"},\"spec\":{\"holderIdentity\":\"other\","
			       "\"leaseDurationSeconds\":1,\"leaseTransitions\":4,"
			       "\"renewTime\":\"2026-01-01T00:00:00.000000Z\"}}";

/* --- promises --- */

static int first_version;
static bool is_renewed_twice(void)
{
	return version >= first_version + 2;
}

static void test_a_lease_that_is_not_there_is_made_taken_at_once_and_renewed(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	assert_false(lease_may_write(lease, loop_now_ms()));
	api_until_log("leads at once;");
	assert_string_equal(stored_spec("holderIdentity"), "me");
	assert_int_equal(json_int(stored, 0, "spec", "leaseDurationSeconds", NULL), 1);
	assert_int_equal(json_int(stored, -1, "spec", "leaseTransitions", NULL), 0);
	assert_string_equal(lease_holder(lease), "me");
	char *acquired = mem_dup(stored_spec("acquireTime")), *renewed = mem_dup(stored_spec("renewTime"));
	first_version = version;
	api_until(is_renewed_twice);
	assert_string_equal(stored_spec("acquireTime"), acquired);
	assert_string_not_equal(stored_spec("renewTime"), renewed);
	assert_string_equal(api_log.data, "leads at once;");
	free(acquired);
	free(renewed);
}

static void test_what_others_put_on_it_stays(void **state)
{
	(void)state;
	store_text(
		"{\"metadata\":{\"name\":\"l\",\"labels\":{\"a\":\"b\"},\"annotations\":{\"x\":\"y\",\"note\":\"n\"}},"
		"\"spec\":{\"holderIdentity\":\"\",\"leaseTransitions\":4,\"strategy\":\"s\"}}");
	lease = make("me", RETRY_MS);
	api_until_log("leads at once n;");
	first_version = version;
	api_until(is_renewed_twice);
	assert_string_equal(json_str(stored, "metadata", "labels", "a", NULL), "b");
	assert_string_equal(json_str(stored, "metadata", "annotations", "x", NULL), "y");
	assert_string_equal(json_str(stored, "metadata", "annotations", "note", NULL), "n");
	assert_string_equal(stored_spec("strategy"), "s");
	assert_int_equal(json_int(stored, 0, "spec", "leaseTransitions", NULL), 5);
}

static void test_anothers_is_taken_quietly_after_its_silence(void **state)
{
	(void)state;
	store_text(anothers);
	lease = make("me", RETRY_MS);
	api_until_log("leads quietly;");
	assert_true(api_n > 2); /* looked at more than once before it was written */
	assert_string_equal(stored_spec("holderIdentity"), "me");
	assert_true(quiet_until > loop_now_ms() + LINGER_MS / 2);
}

static bool is_read(void)
{
	return api_n >= 2;
}

static void test_one_that_is_deleted_under_its_holder_is_taken_quietly(void **state)
{
	(void)state;
	store_text(anothers);
	lease = make("me", RETRY_MS);
	api_until(is_read);
	json_decref(stored);
	stored = NULL;
	api_until_log("leads quietly;");
	assert_true(quiet_until > loop_now_ms() + LINGER_MS);
}

static bool is_known(void)
{
	return lease_holder(lease)[0] != '\0';
}

static bool is_doubtful(void)
{
	return doubt_until > loop_now_ms() + LINGER_MS;
}

static void test_where_no_lease_is_one_may_have_been_taken_away(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	assert_true(is_doubtful());
}

static void test_one_that_names_nobody_and_was_not_given_back_is_as_doubtful(void **state)
{
	(void)state;
	store_text("{\"metadata\":{\"name\":\"l\"}}");
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	assert_true(is_doubtful());
}

static void test_one_from_which_somebody_took_the_name_is_taken_quietly(void **state)
{
	(void)state;
	store_text("{\"metadata\":{\"name\":\"l\"},\"spec\":{\"holderIdentity\":\"\",\"leaseDurationSeconds\":15}}");
	lease = make("me", RETRY_MS);
	api_until_log("leads quietly;");
	assert_true(quiet_until > loop_now_ms() + LINGER_MS);
}

static void test_one_that_was_given_back_leaves_no_doubt(void **state)
{
	(void)state;
	store_text("{\"metadata\":{\"name\":\"l\"},\"spec\":{\"holderIdentity\":\"\",\"leaseDurationSeconds\":1}}");
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	assert_int_equal(doubt_until, 0);
}

static void test_our_own_that_was_deleted_is_nobody_elses(void **state)
{
	(void)state;
	store_text("{\"metadata\":{\"name\":\"l\"},\"spec\":{\"holderIdentity\":\"\",\"leaseDurationSeconds\":1}}");
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	json_decref(stored);
	stored = NULL;
	api_until_log("leads at once;lost;leads quietly;");
	assert_int_equal(doubt_until, 0);
	assert_true(quiet_until <= loop_now_ms() + LINGER_MS);
}

/* The one before may be cut off and still write: that the Lease now names somebody else does not stop it. */
static void test_a_third_ones_name_does_not_make_us_forget_the_second(void **state)
{
	(void)state;
	store_text(anothers);
	lease = make("me", RETRY_MS);
	api_until(is_read);
	json_t *theirs = json_deep_copy(stored);
	json_object_set_new(json_object_get(theirs, "spec"), "holderIdentity", json_string(""));
	json_object_set_new(json_object_get(theirs, "spec"), "leaseDurationSeconds", json_integer(3));
	store(theirs);
	api_until_log("leads quietly;");
	assert_true(quiet_until > loop_now_ms() + LINGER_MS + 500);
}

static void test_a_duration_that_somebody_shortened_is_not_believed(void **state)
{
	(void)state;
	struct lease_times times = { .duration_ms = 3000, .renew_deadline_ms = DEADLINE_MS, .retry_ms = RETRY_MS };
	store_text(anothers); /* it says a second */
	lease = make_with("me", &times);
	api_until(is_known);
	int64_t known = loop_now_ms();
	api_until_log("leads quietly;");
	assert_true(loop_now_ms() >= known + 3000 - RETRY_MS);
}

static void test_the_next_holder_is_told_of_a_silence_that_is_not_over(void **state)
{
	(void)state;
	store_text(anothers);
	lease = make("me", RETRY_MS);
	api_until_log("leads quietly;");
	lease_release(lease, quiet_until, on_released, NULL);
	api_until_log("leads quietly;released;");
	assert_string_equal(stored_spec("holderIdentity"), "");
	assert_true(json_int(stored, 0, "spec", "leaseDurationSeconds", NULL) > LINGER_MS / 1000 / 2);
	lease_free(lease);
	lease = make("another", RETRY_MS);
	api_until_log("leads quietly;released;leads quietly;");
	assert_true(quiet_until > loop_now_ms() + LINGER_MS / 2);
}

static void test_it_is_held_until_its_duration_after_the_last_sign_of_life(void **state)
{
	(void)state;
	store_text(anothers);
	lease = make("me", NEVER_MS);
	assert_false(lease_is_held(lease, loop_now_ms()));
	int64_t before = loop_now_ms();
	api_until(is_known);
	int64_t after = loop_now_ms();
	assert_true(lease_is_held(lease, before + DURATION_MS));
	assert_false(lease_is_held(lease, after + DURATION_MS + 1));
	assert_string_equal(lease_holder(lease), "other");
}

static void test_our_own_is_held_too_until_it_is_given_back(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	assert_true(lease_is_held(lease, loop_now_ms()));
	assert_false(lease_is_held(lease, loop_now_ms() + NEVER_MS));
	lease_release(lease, 0, on_released, NULL);
	api_until_log("leads at once;released;");
	assert_string_equal(stored_spec("holderIdentity"), "");
	assert_false(lease_is_held(lease, loop_now_ms()));
}

static void test_a_leader_without_answers_has_lost_at_its_deadline(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	assert_true(lease_may_write(lease, loop_now_ms()));
	assert_false(lease_may_write(lease, loop_now_ms() + DEADLINE_MS));
	silent = true;
	api_until_log("leads at once;lost;");
	assert_false(lease_may_write(lease, loop_now_ms()));
}

static void test_who_lost_it_and_has_it_again_waits_for_its_own_last_request(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	silent = true;
	api_until_log("leads at once;lost;");
	silent = false;
	/* Whether the renewal under way is answered now or given up: what was written before may still be heard. */
	if (held)
		answer_write(held);
	for (const char *want = "quietly"; !strstr(api_log.data, want);)
		api_until_requests(api_n + 1);
	assert_null(strstr(api_log.data + strlen("leads at once;"), "at once"));
	assert_true(quiet_until > loop_now_ms() + LINGER_MS / 2);
	assert_true(lease_may_write(lease, loop_now_ms()));
}

static void test_a_leader_that_another_replaced_has_lost(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	store_text(anothers);
	api_until_log("leads at once;lost;");
	assert_string_equal(lease_holder(lease), "other");
}

static bool is_noted(void)
{
	const char *note = json_str(stored, "metadata", "annotations", "note", NULL);

	return note && strcmp(note, "ours") == 0;
}

static void test_an_annotation_of_an_operator_costs_no_leadership_and_is_answered(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	annotation = "ours";
	json_t *theirs = json_deep_copy(stored);
	json_object_set_new(json_object_get(theirs, "metadata"), "annotations", json_pack("{s:s}", "note", "theirs"));
	store(theirs);
	api_until(is_noted);
	assert_string_equal(api_log.data, "leads at once;");
}

static void test_a_conflict_that_never_ends_is_left_to_the_timer(void **state)
{
	(void)state;
	refused = 409;
	lease = make("me", NEVER_MS);
	api_until_log("conflict;");
	assert_int_equal(api_n, 4); /* read, create, read, create */
}

static void test_a_namespace_that_does_not_exist_is_left_to_the_timer(void **state)
{
	(void)state;
	refused = 404;
	lease = make("me", NEVER_MS);
	api_until_log("gone;");
	assert_int_equal(api_n, 4);
}

static void test_reading_alone_is_not_all_well(void **state)
{
	(void)state;
	refused = 403;
	lease = make("me", RETRY_MS);
	api_until_log("auth;auth;auth;");
	refused = 0;
	api_until_log("auth;auth;auth;well;leads at once;");
}

static void test_what_is_given_back_can_be_taken_at_once(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	lease_release(lease, 0, on_released, NULL);
	assert_false(lease_may_write(lease, loop_now_ms()));
	api_until_log("leads at once;released;");
	assert_string_equal(stored_spec("holderIdentity"), "");
	lease_free(lease);
	lease = make("another", RETRY_MS);
	api_until_log("leads at once;released;leads at once;");
}

static bool is_held(void)
{
	return held != NULL;
}

static void test_giving_back_waits_for_the_renewal_under_way(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	silent = true;
	api_until(is_held);
	silent = false;
	lease_release(lease, 0, on_released, NULL);
	answer_write(held);
	api_until_log("leads at once;released;");
	assert_string_equal(stored_spec("holderIdentity"), "");
}

static void test_giving_back_gets_over_a_change_by_others(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	store(json_deep_copy(stored)); /* its version is another now */
	lease_release(lease, 0, on_released, NULL);
	api_until_log("leads at once;released;");
	assert_string_equal(stored_spec("holderIdentity"), "");
}

static void test_a_silent_server_does_not_hold_up_the_end(void **state)
{
	(void)state;
	lease = make("me", RETRY_MS);
	api_until_log("leads at once;");
	silent = true;
	lease_release(lease, 0, on_released, NULL);
	api_until_log("leads at once;released;");
	assert_string_equal(stored_spec("holderIdentity"), "me");
}

static void test_who_does_not_hold_it_gives_nothing_back(void **state)
{
	(void)state;
	store_text(anothers);
	lease = make("me", NEVER_MS);
	api_until_requests(1);
	lease_release(lease, 0, on_released, NULL);
	api_until_log("released;");
	assert_int_equal(api_n, 1);
	assert_string_equal(stored_spec("holderIdentity"), "other");
}

#define LIFE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIFE(test_a_lease_that_is_not_there_is_made_taken_at_once_and_renewed),
		LIFE(test_what_others_put_on_it_stays),
		LIFE(test_anothers_is_taken_quietly_after_its_silence),
		LIFE(test_one_that_is_deleted_under_its_holder_is_taken_quietly),
		LIFE(test_where_no_lease_is_one_may_have_been_taken_away),
		LIFE(test_one_that_names_nobody_and_was_not_given_back_is_as_doubtful),
		LIFE(test_one_from_which_somebody_took_the_name_is_taken_quietly),
		LIFE(test_one_that_was_given_back_leaves_no_doubt),
		LIFE(test_our_own_that_was_deleted_is_nobody_elses),
		LIFE(test_a_third_ones_name_does_not_make_us_forget_the_second),
		LIFE(test_a_duration_that_somebody_shortened_is_not_believed),
		LIFE(test_the_next_holder_is_told_of_a_silence_that_is_not_over),
		LIFE(test_it_is_held_until_its_duration_after_the_last_sign_of_life),
		LIFE(test_our_own_is_held_too_until_it_is_given_back),
		LIFE(test_a_leader_without_answers_has_lost_at_its_deadline),
		LIFE(test_who_lost_it_and_has_it_again_waits_for_its_own_last_request),
		LIFE(test_a_leader_that_another_replaced_has_lost),
		LIFE(test_an_annotation_of_an_operator_costs_no_leadership_and_is_answered),
		LIFE(test_a_conflict_that_never_ends_is_left_to_the_timer),
		LIFE(test_a_namespace_that_does_not_exist_is_left_to_the_timer),
		LIFE(test_reading_alone_is_not_all_well),
		LIFE(test_what_is_given_back_can_be_taken_at_once),
		LIFE(test_giving_back_waits_for_the_renewal_under_way),
		LIFE(test_giving_back_gets_over_a_change_by_others),
		LIFE(test_a_silent_server_does_not_hold_up_the_end),
		LIFE(test_who_does_not_hold_it_gives_nothing_back),
	};

	return cmocka_run_group_tests_name("lease life", tests, NULL, NULL);
}
