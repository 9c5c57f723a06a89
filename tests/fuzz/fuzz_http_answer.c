/* An HTTP answer: the same at once, byte by byte, and in pieces of the size that the first byte says. */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cni/plugin/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In pieces of `piece` bytes.  The result of the feeding. */
static int feed(struct http_answer *answer, const char *bytes, size_t n, size_t piece, struct error *err)
{
	http_answer_init(answer);
	for (size_t i = 0; i < n; i += piece)
		if (http_answer_feed(answer, bytes + i, n - i < piece ? n - i : piece, err) < 0)
			return -1;
	return 0;
}

static void check(const struct http_answer *answer)
{
	assert(answer->body.len <= HTTP_ANSWER_BODY_MAX && !answer->body.full);
	assert(answer->head_len <= HTTP_ANSWER_HEAD_MAX + 1); /* the one that was too many */
	assert(answer->retry_after_ms >= -1 && answer->retry_after_ms <= 3600000);
	if (answer->step == HTTP_ANSWER_COMPLETE)
		assert(answer->status >= 200 && answer->status <= 599);
}

static void assert_same(const struct http_answer *a, const struct http_answer *b)
{
	assert(a->step == b->step && a->status == b->status && a->retry_after_ms == b->retry_after_ms);
	assert(a->body.len == b->body.len && memcmp(a->body.data, b->body.data, a->body.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_answer *whole = mem_alloc(sizeof *whole), *other = mem_alloc(sizeof *other);
	struct error err, other_err;

	if (size > 0) {
		const char *bytes = (const char *)data + 1;
		size_t n = size - 1, pieces[] = { 1, data[0] + 1U };
		int status = feed(whole, bytes, n, n + 1, &err);
		check(whole);
		for (size_t i = 0; i < array_length(pieces); i++) {
			assert(feed(other, bytes, n, pieces[i], &other_err) == status);
			assert(status == 0 || (err.kind == other_err.kind && strcmp(err.text, other_err.text) == 0));
			assert_same(whole, other);
			http_answer_free(other);
		}
		http_answer_free(whole);
	}
	free(whole);
	free(other);
	return 0;
}
