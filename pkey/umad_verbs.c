#include "pkey/umad_verbs.h"

#include <infiniband/verbs.h>
#include <stdio.h>
#include <string.h>

/* Ethernet ports (RoCE) have no partitions of a subnet manager. */
static bool is_infiniband(struct ibv_context *context, unsigned port, bool *active)
{
	struct ibv_port_attr attributes;

	if (ibv_query_port(context, (uint8_t)port, &attributes) != 0)
		return false;
	*active = attributes.state == IBV_PORT_ACTIVE;
	return attributes.link_layer == IBV_LINK_LAYER_INFINIBAND ||
	       attributes.link_layer == IBV_LINK_LAYER_UNSPECIFIED;
}

/* True: an active one was found, and looking further is pointless. */
static bool look_at(struct ibv_device *candidate, unsigned port, char *found, size_t size, unsigned *found_port)
{
	struct ibv_context *context = ibv_open_device(candidate);
	struct ibv_device_attr attributes;
	bool done = false;

	if (!context)
		return false;
	if (ibv_query_device(context, &attributes) != 0)
		attributes.phys_port_cnt = 0;
	for (unsigned i = 1; i <= attributes.phys_port_cnt && !done; i++) {
		bool active = false;
		if ((port && i != port) || !is_infiniband(context, i, &active) || (*found_port && !active))
			continue;
		snprintf(found, size, "%s", ibv_get_device_name(candidate));
		*found_port = i;
		done = active;
	}
	ibv_close_device(context);
	return done;
}

bool verbs_pick(const char *device, unsigned port, char *found, size_t size, unsigned *found_port)
{
	int n = 0;
	struct ibv_device **list = ibv_get_device_list(&n);

	*found_port = 0;
	for (int i = 0; list && i < n; i++)
		if ((!device || strcmp(ibv_get_device_name(list[i]), device) == 0) &&
		    look_at(list[i], port, found, size, found_port))
			break;
	if (list)
		ibv_free_device_list(list);
	return *found_port;
}
