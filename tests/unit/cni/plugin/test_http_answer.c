#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cni/plugin/http_answer.h"

static struct http_answer answer;
static struct error err;

static int setup(void **state)
{
	(void)state;
	http_answer_init(&answer);
	err = (struct error){ 0 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_answer_free(&answer);
	return 0;
}

static int feed(const char *text)
{
	return http_answer_feed(&answer, text, strlen(text), &err);
}

static void assert_answer(int status, const char *body)
{
	assert_int_equal(answer.step, HTTP_ANSWER_COMPLETE);
	assert_int_equal(answer.status, status);
	assert_string_equal(answer.body.data, body);
}

static void answered(const char *text, int status, const char *body)
{
	setup(NULL);
	if (feed(text) < 0)
		fail_msg("%s", err.text);
	assert_answer(status, body);
	teardown(NULL);
}

static void refused(enum error_kind kind, const char *text, const char *words)
{
	setup(NULL);
	if (feed(text) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.kind, kind);
	if (!strstr(err.text, words))
		fail_msg("'%s' not in: %s", words, err.text);
	teardown(NULL);
}

static void test_a_body_of_a_length_is_read(void **state)
{
	(void)state;
	answered("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 200, "{}");
	answered("HTTP/1.1 503 Service Unavailable\r\ncontent-length:\t 1 \r\n\r\nx", 503, "x");
	answered("HTTP/1.1 401 \r\nContent-Length: 0\r\n\r\n", 401, "");
	answered("HTTP/1.0 404\r\nContent-Length: 0\r\n\r\n", 404, "");
	answered("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
}

static void test_a_body_in_chunks_is_put_together(void **state)
{
	(void)state;
	answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n00a;x=y\r\n0123456789\r\n0\r\nT: "
		 "x\r\n\r\n",
		 200, "abc0123456789");
	answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "");
}

static void test_interim_answers_are_skipped(void **state)
{
	(void)state;
	assert_int_equal(feed("HTTP/1.1 103 Early\r\nRetry-After: 3\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), 0);
	assert_answer(204, "");
	assert_int_equal(answer.retry_after_ms, -1);
	answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nRetry-After: 3\r\nContent-Length: 9\r\n\r\n"
		 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		 200, "x");
}

static void test_any_cut_gives_the_same_answer(void **state)
{
	static const char text[] = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

	(void)state;
	for (size_t first = 0; first < strlen(text); first++) {
		setup(NULL);
		assert_int_equal(http_answer_feed(&answer, text, first, &err), 0);
		assert_int_not_equal(answer.step, HTTP_ANSWER_COMPLETE);
		for (size_t i = first; i < strlen(text); i++)
			assert_int_equal(http_answer_feed(&answer, text + i, 1, &err), 0);
		assert_answer(429, "abcde");
		assert_int_equal(answer.retry_after_ms, 7000);
		teardown(NULL);
	}
}

static void test_what_follows_is_left_alone(void **state)
{
	(void)state;
	answered("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz\x01", 200, "x");
}

static void retry_after(const char *value, int64_t ms)
{
	char *text = mem_printf("HTTP/1.1 503 X\r\nretry-after: %s\r\nContent-Length: 0\r\n\r\n", value);

	setup(NULL);
	assert_int_equal(feed(text), 0);
	assert_int_equal(answer.retry_after_ms, ms);
	teardown(NULL);
	free(text);
}

static void test_retry_after_counts_in_seconds_up_to_an_hour(void **state)
{
	(void)state;
	retry_after("0", 0);
	retry_after("5", 5000);
	retry_after("9999", 3600000);
	retry_after("-5", -1);
	retry_after("", -1);
	retry_after("Wed, 21 Oct 2026 07:28:00 GMT", -1);
}

static void test_what_is_no_answer_is_refused(void **state)
{
	(void)state;
	refused(ERROR_INVALID, "SSH-2.0-OpenSSH\r\n", "HTTP/1.1");
	refused(ERROR_INVALID, "HTTP/2 200 OK\r\n", "HTTP/1.1");
	refused(ERROR_INVALID, "HTTP/1.1 20 OK\r\n", "status");
	refused(ERROR_INVALID, "HTTP/1.1 2000 OK\r\n", "status");
	refused(ERROR_INVALID, "HTTP/1.1 099 OK\r\n", "status");
	refused(ERROR_INVALID, "HTTP/1.1 600 OK\r\n", "status");
	refused(ERROR_INVALID, "HTTP/1.1 101 Switching\r\n", "status");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\n", "CR LF");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\rx", "CR LF");
	refused(ERROR_INVALID, "HTTP/1.1 200 O\x01K\r\n", "control");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\n : x\r\n", "header");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n", "header");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n", "header");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nbare\r\n", "header");
}

static void test_only_one_thing_says_where_the_body_ends(void **state)
{
	(void)state;
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\n\r\n", "neither");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n", "Content-Length");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n", "Content-Length");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n", "Content-Length");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nContent-Length: \r\n", "Content-Length");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunk");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "chunk");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", "chunk");
}

static void test_a_body_may_have_64_KiB(void **state)
{
	char *bytes = mem_alloc((64 << 10) + 1);

	(void)state;
	memset(bytes, 'x', 64 << 10);
	assert_int_equal(feed("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n"), 0);
	assert_int_equal(feed(bytes), 0);
	assert_answer(200, bytes);
	teardown(NULL);
	setup(NULL);
	assert_int_equal(feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"), 0);
	assert_int_equal(http_answer_feed(&answer, bytes, 0xffff, &err), 0);
	assert_int_equal(feed("\r\n2\r\n"), -1);
	assert_int_equal(err.kind, ERROR_LIMIT);
	free(bytes);
	teardown(NULL);
	refused(ERROR_LIMIT, "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n", "64 KiB");
	refused(ERROR_INVALID, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n", "Content-Length");
	refused(ERROR_LIMIT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n", "64 KiB");
	refused(ERROR_LIMIT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n", "64 KiB");
}

static void test_a_head_may_have_16_KiB(void **state)
{
	int status = 0;

	(void)state;
	assert_int_equal(feed("HTTP/1.1 200 OK\r\n"), 0);
	for (int i = 0; i < 1100 && status == 0; i++)
		status = feed("A: 0123456789\r\n");
	assert_int_equal(status, -1);
	assert_int_equal(err.kind, ERROR_LIMIT);
	setup(NULL);
	status = feed("HTTP/1.1 200 ");
	for (int i = 0; i < 20000 && status == 0; i++)
		status = feed("x");
	assert_int_equal(status, -1);
	assert_int_equal(err.kind, ERROR_LIMIT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_body_of_a_length_is_read),   TEST(test_a_body_in_chunks_is_put_together),
		TEST(test_interim_answers_are_skipped),  TEST(test_any_cut_gives_the_same_answer),
		TEST(test_what_follows_is_left_alone),   TEST(test_retry_after_counts_in_seconds_up_to_an_hour),
		TEST(test_what_is_no_answer_is_refused), TEST(test_only_one_thing_says_where_the_body_ends),
		TEST(test_a_body_may_have_64_KiB),       TEST(test_a_head_may_have_16_KiB),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
