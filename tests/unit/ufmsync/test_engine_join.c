// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "tests/unit/ufmsync/engine_world.h"

static void test_an_idle_engine_joins_reads_back_and_patches(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_run(world);
	world_forget(world);
	world->mute = "";
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_expect(world, "JOIN 0x5 full index0 n=1\n"
			    "LIST 0x5\n"
			    "PATCH a/p n=1 record\n"
			    "EVENT a/p Member: a/ib: GUID 02:00:00:00:00:00:00:10 in PKey 0x0005\n");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_idle_engine_joins_reads_back_and_patches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
