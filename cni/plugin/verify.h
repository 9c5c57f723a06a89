#pragma once

#include <stdint.h>

#include "cni/plugin/attach.h"
#include "cni/plugin/cni_error.h"

/* What can be known before anything was done: CNI_INVALID_CONFIG as below.  NULL is no device. */
int verify_check(const char *sysfs, const char *device, struct cni_error *err);

/* Waits until the P_Key table of the VF's port holds every membership (with its full-member bit), as the kernel shows
 * it: SYSFS/bus/pci/devices/DEVICE/infiniband/NAME/ports/1/pkeys/N.  In RDMA exclusive mode the device is in the pod's
 * network namespace: then a child enters `netns` ("": there is none) and makes a sysfs mount that nobody else sees.
 *
 * CNI_NOT_VERIFIED names the key that is missing and those that are there, or what else stood in the way until the
 * time was over; CNI_INVALID_CONFIG: no PCI device, or one without an InfiniBand driver (VFIO), cannot be verified. */
int verify_wait(const char *sysfs, const char *device, const char *netns, const struct attach_answer *expected,
		int64_t timeout_ms, struct cni_error *err);
