#undef NDEBUG
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_fresh_memory_is_zero_whatever_its_size(void **state)
{
	(void)state;
	for (size_t n = 0; n < 300; n += 37) {
		char *a = mem_alloc(n), *b = mem_array(n, 3);
		assert_non_null(a);
		assert_non_null(b);
		for (size_t i = 0; i < n; i++)
			assert_true(a[i] == 0 && b[3 * i] == 0 && b[3 * i + 2] == 0);
		free(a);
		free(b);
	}
}

static void test_resizing_keeps_what_was_there(void **state)
{
	int *numbers = mem_resize(NULL, 3, sizeof *numbers);

	(void)state;
	for (int i = 0; i < 3; i++)
		numbers[i] = i;
	numbers = mem_resize(numbers, 3000, sizeof *numbers);
	for (int i = 0; i < 3; i++)
		assert_int_equal(numbers[i], i);
	numbers = mem_resize(numbers, 0, sizeof *numbers);
	assert_non_null(numbers);
	free(numbers);
}

static void test_texts_are_copied_with_their_end(void **state)
{
	(void)state;
	char *a = mem_dup("text"), *b = mem_dup_n("text", 2), *c = mem_dup_n(NULL, 0), *d = mem_printf("%s-%d", "x", 7);
	assert_string_equal(a, "text");
	assert_string_equal(b, "te");
	assert_string_equal(c, "");
	assert_string_equal(d, "x-7");
	assert_null(mem_dup(NULL));
	/* Bytes behind a NUL are bytes too. */
	char *e = mem_dup_n("a\0b", 3);
	assert_memory_equal(e, "a\0b", 4);
	free(a);
	free(b);
	free(c);
	free(d);
	free(e);
}

static void test_a_cleanup_frees_and_forgets(void **state)
{
	(void)state;
	char *text = mem_dup("x");
	mem_freep(&text);
	assert_null(text);
	mem_freep(&text);
	mem_wipe_free(mem_dup("secret"));
	mem_wipe_free(NULL);
}

static void too_large(void)
{
	free(mem_alloc(SIZE_MAX / 2));
}

static void product_overflows(void)
{
	free(mem_array(SIZE_MAX / 4, 8));
}

static void product_overflows_resizing(void)
{
	free(mem_resize(NULL, SIZE_MAX / 4, 8));
}

static void test_memory_that_cannot_be_had_ends_the_process(void **state)
{
	static void (*const asks[])(void) = { too_large, product_overflows, product_overflows_resizing };

	(void)state;
	for (size_t i = 0; i < array_length(asks); i++) {
		int status;
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			const struct rlimit no_core = { 0, 0 };
			setrlimit(RLIMIT_CORE, &no_core);
			signal(SIGABRT, SIG_DFL);
			close(STDERR_FILENO);
			asks[i]();
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		/* An abort; the sanitizer's allocator ends the process in its own way. */
		assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh_memory_is_zero_whatever_its_size),
		cmocka_unit_test(test_resizing_keeps_what_was_there),
		cmocka_unit_test(test_texts_are_copied_with_their_end),
		cmocka_unit_test(test_a_cleanup_frees_and_forgets),
		cmocka_unit_test(test_memory_that_cannot_be_had_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
