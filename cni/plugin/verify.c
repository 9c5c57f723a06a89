#include "cni/plugin/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cni/plugin/monotonic.h"
#include "cni/plugin/pkey_table.h"
#include "cni/plugin/verify_netns.h"
#include "cni/plugin/verify_sysfs.h"

/* Each entry of the table may cost the driver a command to the hardware, so the looks get rarer. */
enum { PAUSE_MS = 100, PAUSE_MOST_MS = 500 };

struct look {
	const char *device, *netns;
	int host, namespace; /* roots of sysfs; namespace: -1 until it was needed */
	int64_t deadline_ms;
	struct verify_sysfs_seen seen;
	struct error problem; /* ERROR_NONE: nothing but what `view` says */
};

/* The host's view, and where that shows no InfiniBand device, the pod's. */
static enum verify_sysfs look(struct look *look)
{
	look->problem.kind = ERROR_NONE;
	enum verify_sysfs view = verify_sysfs_read(look->host, look->device, &look->seen, &look->problem);
	if (view != VERIFY_SYSFS_NO_INFINIBAND || !*look->netns)
		return view;
	if (look->namespace < 0)
		look->namespace = verify_netns_open(look->netns, look->deadline_ms, &look->problem);
	if (look->namespace < 0)
		return view;
	return verify_sysfs_read(look->namespace, look->device, &look->seen, &look->problem);
}

/* The first membership that the table does not show; NULL: none. */
static const struct attach_membership *missing(const struct pkey_table *table, const struct attach_answer *expected)
{
	for (unsigned i = 0; i < expected->n_memberships; i++)
		if (!pkey_table_has(table, expected->memberships[i].pkey, expected->memberships[i].full))
			return &expected->memberships[i];
	return NULL;
}

static int vfio(struct cni_error *err, const char *device)
{
	cni_fail(err, CNI_INVALID_CONFIG, "verify: %s is bound to a VFIO driver, so this node cannot see its P_Keys",
		 device);
	return cni_fail_details(err,
				"Take \"verify\" out of this network's config, or use it with devices that have an "
				"InfiniBand driver on the node");
}

static int not_a_device(struct cni_error *err, const char *device)
{
	cni_fail(err, CNI_INVALID_CONFIG, "verify: deviceID '%.64s' is not a PCI address like 0000:3b:00.2", device);
	return cni_fail_details(err,
				"Take \"verify\" out of this network's config, or give the network a resource of PCI "
				"virtual functions (k8s.v1.cni.cncf.io/resourceName)");
}

static int not_verified(const struct look *look, enum verify_sysfs view, const struct attach_membership *lacks,
			int64_t timeout_ms, struct cni_error *err)
{
	char holds[PKEY_TABLE_TEXT_MAX];

	if (look->problem.kind != ERROR_NONE) {
		cni_fail(err, CNI_NOT_VERIFIED, "the P_Key table of %s could not be read: %s", look->device,
			 look->problem.text);
	} else if (view == VERIFY_SYSFS_NO_DEVICE) {
		cni_fail(err, CNI_NOT_VERIFIED, "the P_Key table of %s could not be read: no such PCI device",
			 look->device);
	} else if (view != VERIFY_SYSFS_TABLE) {
		cni_fail(err, CNI_NOT_VERIFIED,
			 "%s has no InfiniBand device, neither on the node nor in the pod's namespace", look->device);
	} else {
		cni_fail(err, CNI_NOT_VERIFIED,
			 "after %lld ms %s (%s) does not show P_Key 0x%04x (%s member); it holds %s",
			 (long long)timeout_ms, look->device, look->seen.name,
			 lacks->pkey | (lacks->full ? PKEY_TABLE_FULL : 0), lacks->full ? "full" : "limited",
			 pkey_table_format(holds, &look->seen.table));
		return cni_fail_details(
			err, "The service has joined it, so look between the subnet manager and this port: the "
			     "port's state, virtualization in the subnet manager, its log; the container "
			     "runtime tries again");
	}
	return cni_fail_details(err,
				"Look at the node's driver for this device, and whether the network's resource is of "
				"InfiniBand virtual functions; the container runtime tries again");
}

static int wait_for(struct look *at, const struct attach_answer *expected, int64_t timeout_ms, struct cni_error *err)
{
	for (int64_t pause_ms = PAUSE_MS;; pause_ms = pause_ms * 2 < PAUSE_MOST_MS ? pause_ms * 2 : PAUSE_MOST_MS) {
		enum verify_sysfs view = look(at);
		const struct attach_membership *lacks = missing(&at->seen.table, expected);
		if (view == VERIFY_SYSFS_VFIO)
			return vfio(err, at->device);
		if (view == VERIFY_SYSFS_TABLE && !lacks)
			return 0;
		int64_t left_ms = at->deadline_ms - monotonic_ms();
		if (left_ms <= 0)
			return not_verified(at, view, lacks, timeout_ms, err);
		monotonic_sleep(left_ms < pause_ms ? left_ms : pause_ms);
	}
}

int verify_check(const char *sysfs, const char *device, struct cni_error *err)
{
	if (!device || !verify_sysfs_is_device(device))
		return not_a_device(err, device ? device : "");
	int root = open(sysfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_vfio = root >= 0 && verify_sysfs_is_vfio(root, device);
	if (root >= 0)
		close(root);
	return is_vfio ? vfio(err, device) : 0;
}

int verify_wait(const char *sysfs, const char *device, const char *netns, const struct attach_answer *expected,
		int64_t timeout_ms, struct cni_error *err)
{
	struct look at = {
		.device = device,
		.netns = netns ? netns : "",
		.namespace = -1,
		.deadline_ms = monotonic_ms() + timeout_ms,
	};

	if (expected->n_memberships == 0)
		return 0; /* no PKey: there is nothing to wait for */
	if (!device || !verify_sysfs_is_device(device))
		return not_a_device(err, device ? device : "");
	at.host = open(sysfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at.host < 0)
		return cni_fail(err, CNI_NOT_VERIFIED, "sysfs at %s cannot be read: %s", sysfs, strerror(errno));
	int status = wait_for(&at, expected, timeout_ms, err);
	close(at.host);
	if (at.namespace >= 0)
		close(at.namespace);
	return status;
}
