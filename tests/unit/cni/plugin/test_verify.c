/* Against folders that look like sysfs.  What the pod's namespace shows is a second one of these: verify_netns_open(),
 * which has its own test with real namespaces, is replaced here. */
#undef NDEBUG
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cni/plugin/verify.h"
#include "cni/plugin/verify_netns.h"
#include "tests/unit/cni/plugin/fake_sysfs.h"

#define NETNS  "/run/netns/pod"
#define FOLDER "bus/pci/devices/" FAKE_DEVICE
enum { LONG_MS = 60 * 1000 };

static struct fake_sysfs host, pod;
static struct cni_error err;
static unsigned entered;       /* how often the namespace was to be entered */
static bool (*on_enter)(void); /* false: it cannot be */

static const struct attach_answer full_5 = { .memberships = { { 5, true } }, .n_memberships = 1 };

int verify_netns_open(const char *netns, int64_t deadline_ms, struct error *why)
{
	(void)deadline_ms;
	assert_string_equal(netns, NETNS);
	entered++;
	if (on_enter && !on_enter())
		return error_set(why, ERROR_OS, "network namespace " NETNS ": gone");
	return open(pod.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int setup(void **state)
{
	(void)state;
	fake_sysfs_make(&host);
	fake_sysfs_make(&pod);
	err = (struct cni_error){ 0 };
	entered = 0;
	on_enter = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_sysfs_remove(&host);
	fake_sysfs_remove(&pod);
	return 0;
}

static void table(const struct fake_sysfs *sysfs, const char *first, const char *second)
{
	fake_sysfs_table(sysfs, (const char *const[]){ first, second, NULL });
}

static void verified(const struct attach_answer *expected)
{
	if (verify_wait(host.root, FAKE_DEVICE, NETNS, expected, LONG_MS, &err) < 0)
		fail_msg("%s", err.message);
}

/* Within a moment, since what is there does not change. */
static void not_verified(const struct attach_answer *expected, unsigned code, const char *words)
{
	assert_int_equal(verify_wait(host.root, FAKE_DEVICE, NETNS, expected, 1, &err), -1);
	if (err.code != code || !strstr(err.message, words))
		fail_msg("not %u '%s' but %u: %s", code, words, err.code, err.message);
	assert_true(*err.details);
}

static void test_a_table_that_shows_the_key_is_verified(void **state)
{
	(void)state;
	table(&host, "0x7fff", "0x8005");
	verified(&full_5);
	assert_int_equal(entered, 0);
}

static void test_each_membership_must_show(void **state)
{
	const struct attach_answer both = { .memberships = { { 5, true }, { 6, false } }, .n_memberships = 2 };

	(void)state;
	table(&host, "0x8005", "0x0007");
	not_verified(&both, CNI_NOT_VERIFIED, "does not show P_Key 0x0006 (limited member); it holds 0x8005, 0x0007");
	table(&host, "0x8005", "0x0006");
	verified(&both);
}

static void test_what_is_missing_and_what_is_there_is_named(void **state)
{
	(void)state;
	table(&host, "0x7fff", "0x0005");
	not_verified(&full_5, CNI_NOT_VERIFIED,
		     FAKE_DEVICE " (mlx5_2) does not show P_Key 0x8005 (full member); it holds 0x7fff, 0x0005");
	assert_non_null(strstr(err.details, "subnet manager"));
}

static void test_without_a_pkey_there_is_nothing_to_wait_for(void **state)
{
	const struct attach_answer none = { .n_memberships = 0 };

	(void)state;
	assert_int_equal(verify_wait("/nonexistent", NULL, NULL, &none, LONG_MS, &err), 0);
}

static void test_only_a_pci_address_becomes_part_of_a_path(void **state)
{
	static const char *const bad[] = { "",
					   "..",
					   "../../0000:3b:00.2",
					   "0000:3b:00.2/..",
					   "3b:00.2",
					   "0000:3b:00.8",
					   "0000:3b:00.22",
					   "0000:3B:00.2",
					   "0000:3b:0/.2",
					   "mlx5_core.sf.4" };

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		assert_int_equal(verify_wait(host.root, bad[i], NETNS, &full_5, LONG_MS, &err), -1);
		assert_int_equal(err.code, CNI_INVALID_CONFIG);
		assert_non_null(strstr(err.message, "deviceID"));
	}
	assert_int_equal(verify_wait(host.root, NULL, NETNS, &full_5, LONG_MS, &err), -1);
	assert_int_equal(err.code, CNI_INVALID_CONFIG);
}

static void test_a_device_behind_a_wide_domain_is_one_too(void **state)
{
	(void)state;
	fake_sysfs_file(&host, "bus/pci/devices/10000:01:00.0/infiniband/mlx5_0/ports/1/pkeys/0", "0x8005\n");
	assert_int_equal(verify_wait(host.root, "10000:01:00.0", "", &full_5, LONG_MS, &err), 0);
}

static void test_a_vfio_device_is_a_matter_of_configuration(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER);
	fake_sysfs_link(&host, FOLDER "/driver", "../../../bus/pci/drivers/vfio-pci");
	assert_int_equal(verify_wait(host.root, FAKE_DEVICE, NETNS, &full_5, LONG_MS, &err), -1);
	assert_int_equal(err.code, CNI_INVALID_CONFIG);
	assert_non_null(strstr(err.message, "VFIO"));
	assert_int_equal(entered, 0);
}

static void test_a_vendors_vfio_driver_is_one_too(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER);
	fake_sysfs_link(&host, FOLDER "/driver", "../../../bus/pci/drivers/mlx5_vfio_pci");
	assert_int_equal(verify_wait(host.root, FAKE_DEVICE, NETNS, &full_5, LONG_MS, &err), -1);
	assert_int_equal(err.code, CNI_INVALID_CONFIG);
}

static void test_what_can_never_be_verified_is_known_beforehand(void **state)
{
	(void)state;
	assert_int_equal(verify_check(host.root, NULL, &err), -1);
	assert_int_equal(verify_check(host.root, "../" FAKE_DEVICE, &err), -1);
	assert_int_equal(err.code, CNI_INVALID_CONFIG);
	/* What is not there yet may come. */
	assert_int_equal(verify_check("/nonexistent", FAKE_DEVICE, &err), 0);
	assert_int_equal(verify_check(host.root, FAKE_DEVICE, &err), 0);
	fake_sysfs_folder(&host, FOLDER);
	assert_int_equal(verify_check(host.root, FAKE_DEVICE, &err), 0);
	fake_sysfs_link(&host, FOLDER "/driver", "../../../bus/pci/drivers/vfio-pci");
	assert_int_equal(verify_check(host.root, FAKE_DEVICE, &err), -1);
	assert_int_equal(err.code, CNI_INVALID_CONFIG);
	assert_int_equal(entered, 0);
}

static void test_a_device_that_is_not_there_is_told(void **state)
{
	(void)state;
	not_verified(&full_5, CNI_NOT_VERIFIED, FAKE_DEVICE " could not be read: no such PCI device");
	assert_int_equal(entered, 0);
}

static void test_a_table_that_cannot_be_read_is_told(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER "/infiniband/mlx5_2/ports");
	not_verified(&full_5, CNI_NOT_VERIFIED, "mlx5_2 port 1: P_Key table: No such file");
	fake_sysfs_folder(&host, FOLDER "/infiniband/mlx5_2/ports/1/pkeys");
	not_verified(&full_5, CNI_NOT_VERIFIED, "mlx5_2 port 1 has no P_Key table");
	table(&host, "0x8005", "what");
	not_verified(&full_5, CNI_NOT_VERIFIED, "P_Key at index 1 is 'what");
}

static void test_a_sysfs_that_is_not_there_is_told_at_once(void **state)
{
	(void)state;
	assert_int_equal(verify_wait("/nonexistent", FAKE_DEVICE, NETNS, &full_5, LONG_MS, &err), -1);
	assert_int_equal(err.code, CNI_NOT_VERIFIED);
	assert_non_null(strstr(err.message, "/nonexistent"));
}

/* --- the pod's namespace --- */

static void test_the_pods_namespace_is_looked_into_when_the_host_has_no_infiniband_device(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER);
	fake_sysfs_link(&host, FOLDER "/driver", "../../../bus/pci/drivers/mlx5_core");
	table(&pod, "0x7fff", "0x8005");
	verified(&full_5);
	assert_int_equal(entered, 1);
}

static void test_an_infiniband_folder_that_is_empty_holds_no_device(void **state)
{
	(void)state;
	/* The kernel shows the folder in each namespace, and in it only what is of that namespace. */
	fake_sysfs_folder(&host, FOLDER "/infiniband");
	table(&pod, "0x7fff", "0x8005");
	verified(&full_5);
	assert_int_equal(entered, 1);
}

static void test_the_key_missing_in_the_pods_namespace_is_told_as_well(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER "/infiniband");
	table(&pod, "0x7fff", "0x0005");
	not_verified(&full_5, CNI_NOT_VERIFIED, "does not show P_Key 0x8005 (full member); it holds 0x7fff, 0x0005");
}

static bool refuse(void)
{
	return false;
}

static void test_a_namespace_that_cannot_be_entered_is_told(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER);
	on_enter = refuse;
	not_verified(&full_5, CNI_NOT_VERIFIED, NETNS ": gone");
}

static void test_an_infiniband_device_nowhere_is_told(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER);
	fake_sysfs_folder(&pod, FOLDER);
	not_verified(&full_5, CNI_NOT_VERIFIED,
		     "has no InfiniBand device, neither on the node nor in the pod's namespace");
	assert_int_equal(verify_wait(host.root, FAKE_DEVICE, "", &full_5, 1, &err), -1);
	assert_int_equal(err.code, CNI_NOT_VERIFIED);
}

/* --- waiting --- */

/* What happens between two looks, as the namespace is entered anew until that worked. */
static bool appear_on_the_host(void)
{
	if (entered == 1) {
		table(&host, "0x7fff", "0x8006");
		fake_sysfs_table(&host, (const char *const[]){ "0x7fff", "0x8005", NULL });
	}
	return false;
}

static void test_what_appears_later_is_seen(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER);
	on_enter = appear_on_the_host;
	verified(&full_5);
	assert_int_equal(entered, 1);
}

static bool enter_the_third_time(void)
{
	return entered == 3;
}

static void test_a_namespace_is_entered_again_until_that_works(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER);
	table(&pod, "0x7fff", "0x8005");
	on_enter = enter_the_third_time;
	verified(&full_5);
	assert_int_equal(entered, 3);
}

static void test_a_namespace_once_entered_is_kept(void **state)
{
	(void)state;
	fake_sysfs_folder(&host, FOLDER);
	table(&pod, "0x7fff", "0x8006");
	/* Long enough for a second look: the last one is after the time. */
	assert_int_equal(verify_wait(host.root, FAKE_DEVICE, NETNS, &full_5, 100, &err), -1);
	assert_int_equal(entered, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_table_that_shows_the_key_is_verified),
		TEST(test_each_membership_must_show),
		TEST(test_what_is_missing_and_what_is_there_is_named),
		TEST(test_without_a_pkey_there_is_nothing_to_wait_for),
		TEST(test_only_a_pci_address_becomes_part_of_a_path),
		TEST(test_a_device_behind_a_wide_domain_is_one_too),
		TEST(test_a_vfio_device_is_a_matter_of_configuration),
		TEST(test_a_vendors_vfio_driver_is_one_too),
		TEST(test_what_can_never_be_verified_is_known_beforehand),
		TEST(test_a_device_that_is_not_there_is_told),
		TEST(test_a_table_that_cannot_be_read_is_told),
		TEST(test_a_sysfs_that_is_not_there_is_told_at_once),
		TEST(test_the_pods_namespace_is_looked_into_when_the_host_has_no_infiniband_device),
		TEST(test_an_infiniband_folder_that_is_empty_holds_no_device),
		TEST(test_the_key_missing_in_the_pods_namespace_is_told_as_well),
		TEST(test_a_namespace_that_cannot_be_entered_is_told),
		TEST(test_an_infiniband_device_nowhere_is_told),
		TEST(test_what_appears_later_is_seen),
		TEST(test_a_namespace_is_entered_again_until_that_works),
		TEST(test_a_namespace_once_entered_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
