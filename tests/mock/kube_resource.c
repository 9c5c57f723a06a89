#include "tests/mock/kube_resource.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define COMMON_FIELDS "metadata.name", "metadata.namespace"

const struct mkube_resource mkube_resources[MKUBE_KINDS] = {
	[MKUBE_PODS] = { .group = "",
			 .version = "v1",
			 .plural = "pods",
			 .kind = "Pod",
			 .namespaced = true,
			 .has_status = true,
			 .fields = { COMMON_FIELDS, "spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
				     "spec.serviceAccountName", "status.phase", "status.podIP",
				     "status.nominatedNodeName" } },
	[MKUBE_NAMESPACES] = { .group = "",
			       .version = "v1",
			       .plural = "namespaces",
			       .kind = "Namespace",
			       .has_status = true,
			       .fields = { COMMON_FIELDS, "status.phase" } },
	[MKUBE_NODES] = { .group = "",
			  .version = "v1",
			  .plural = "nodes",
			  .kind = "Node",
			  .has_status = true,
			  .fields = { COMMON_FIELDS } },
	[MKUBE_EVENTS] = { .group = "",
			   .version = "v1",
			   .plural = "events",
			   .kind = "Event",
			   .namespaced = true,
			   .update_creates = true,
			   .fields = { COMMON_FIELDS, "involvedObject.kind", "involvedObject.namespace",
				       "involvedObject.name", "involvedObject.uid", "reason", "type" } },
	[MKUBE_NETWORKS] = { .group = "k8s.cni.cncf.io",
			     .version = "v1",
			     .plural = "network-attachment-definitions",
			     .kind = "NetworkAttachmentDefinition",
			     .namespaced = true,
			     .custom = true,
			     .update_needs_version = true,
			     .fields = { COMMON_FIELDS } },
	[MKUBE_LEASES] = { .group = "coordination.k8s.io",
			   .version = "v1",
			   .plural = "leases",
			   .kind = "Lease",
			   .namespaced = true,
			   .update_needs_version = true,
			   .update_creates = true,
			   .fields = { COMMON_FIELDS } },
	[MKUBE_NEW_EVENTS] = { .group = "events.k8s.io",
			       .version = "v1",
			       .plural = "events",
			       .kind = "Event",
			       .namespaced = true,
			       .update_creates = true,
			       .fields = { COMMON_FIELDS, "regarding.kind", "regarding.namespace", "regarding.name",
					   "regarding.uid", "reason", "type" } },
	[MKUBE_SERVICE_ACCOUNTS] = { .group = "",
				     .version = "v1",
				     .plural = "serviceaccounts",
				     .kind = "ServiceAccount",
				     .namespaced = true,
				     .fields = { COMMON_FIELDS } },
	[MKUBE_SERVICES] = { .group = "",
			     .version = "v1",
			     .plural = "services",
			     .kind = "Service",
			     .namespaced = true,
			     .fields = { COMMON_FIELDS } },
	[MKUBE_ENDPOINTS] = { .group = "",
			      .version = "v1",
			      .plural = "endpoints",
			      .kind = "Endpoints",
			      .namespaced = true,
			      .fields = { COMMON_FIELDS } },
	[MKUBE_SECRETS] = { .group = "",
			    .version = "v1",
			    .plural = "secrets",
			    .kind = "Secret",
			    .namespaced = true,
			    .fields = { COMMON_FIELDS, "type" } },
	[MKUBE_CONFIG_MAPS] = { .group = "",
				.version = "v1",
				.plural = "configmaps",
				.kind = "ConfigMap",
				.namespaced = true,
				.fields = { COMMON_FIELDS } },
};

enum { SEGMENTS_MAX = 8 };

/* Cuts in place; the number of segments, 0 when there are too many or an empty or overlong one. */
static size_t cut(char *path, char *segments[SEGMENTS_MAX])
{
	size_t n = 0;

	if (*path++ != '/')
		return 0;
	for (char *rest = path; rest; n++) {
		char *segment = strsep(&rest, "/");

		if (n == SEGMENTS_MAX || !*segment || strlen(segment) >= MKUBE_NAME_MAX)
			return 0;
		segments[n] = segment;
	}
	return n;
}

static enum mkube_kind find(const char *group, const char *version, const char *plural)
{
	for (unsigned i = 0; i < MKUBE_KINDS; i++)
		if (strcmp(mkube_resources[i].group, group) == 0 && strcmp(mkube_resources[i].version, version) == 0 &&
		    strcmp(mkube_resources[i].plural, plural) == 0)
			return i;
	return MKUBE_KINDS;
}

static bool parse_segments(struct mkube_route *route, char **segment, size_t n)
{
	const char *group, *version;

	if (n >= 3 && strcmp(segment[0], "api") == 0) {
		group = "";
		version = segment[1];
		segment += 2;
		n -= 2;
	} else if (n >= 4 && strcmp(segment[0], "apis") == 0) {
		group = segment[1];
		version = segment[2];
		segment += 3;
		n -= 3;
	} else {
		return false;
	}
	if (n >= 3 && strcmp(segment[0], "namespaces") == 0 && find(group, version, segment[2]) < MKUBE_KINDS) {
		strcpy(route->namespace, segment[1]);
		segment += 2;
		n -= 2;
	}
	route->kind = find(group, version, segment[0]);
	if (route->kind == MKUBE_KINDS || n > 3)
		return false;
	if (n > 1)
		strcpy(route->name, segment[1]);
	if (n > 2)
		strcpy(route->sub, segment[2]);
	bool namespaced = mkube_resources[route->kind].namespaced;
	return *route->namespace ? namespaced : !namespaced || !*route->name;
}

bool mkube_route_parse(struct mkube_route *route, const char *path)
{
	char *segments[SEGMENTS_MAX];
	char *copy = mem_dup(path);
	size_t n = cut(copy, segments);

	*route = (struct mkube_route){ 0 };
	bool ok = n > 0 && parse_segments(route, segments, n);
	mem_freep(&copy);
	return ok;
}

bool mkube_group_known(const char *path)
{
	char prefix[128];

	for (unsigned i = 0; i < MKUBE_KINDS; i++) {
		const struct mkube_resource *resource = &mkube_resources[i];

		snprintf(prefix, sizeof prefix, "/%s%s%s/%s/", *resource->group ? "apis" : "api",
			 *resource->group ? "/" : "", resource->group, resource->version);
		if (strncmp(path, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

void mkube_resource_name(char *out, size_t size, const struct mkube_resource *resource)
{
	snprintf(out, size, "%s%s%s", resource->plural, *resource->group ? "." : "", resource->group);
}

enum mkube_kind mkube_kind_find(const char *plural)
{
	char name[128];

	for (unsigned i = 0; i < MKUBE_KINDS; i++) {
		mkube_resource_name(name, sizeof name, &mkube_resources[i]);
		if (strcmp(name, plural) == 0 || strcmp(mkube_resources[i].plural, plural) == 0)
			return i;
	}
	return MKUBE_KINDS;
}
