#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/ctl/doctor.h"

/* What the API server lets the service do, and us: it is asked, nothing is tried. */

#define SELF_PATH    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
#define SUBJECT_PATH "/apis/authorization.k8s.io/v1/subjectaccessreviews"
#define ACCOUNT      "ufmsync"

struct right {
	const char *verb, *group, *resource, *subresource, *name;
	bool here;  /* in the service's namespace; else everywhere */
	bool https; /* only for its https port */
};

static const struct right service_rights[] = {
	{ "list", "", "pods", NULL, NULL, false, false },
	{ "watch", "", "pods", NULL, NULL, false, false },
	{ "get", "", "pods", NULL, NULL, false, false },
	{ "patch", "", "pods", NULL, NULL, false, false },
	{ "list", "", "namespaces", NULL, NULL, false, false },
	{ "watch", "", "namespaces", NULL, NULL, false, false },
	{ "list", "k8s.cni.cncf.io", "network-attachment-definitions", NULL, NULL, false, false },
	{ "watch", "k8s.cni.cncf.io", "network-attachment-definitions", NULL, NULL, false, false },
	{ "create", "events.k8s.io", "events", NULL, NULL, false, false },
	{ "patch", "events.k8s.io", "events", NULL, NULL, false, false },
	{ "create", "coordination.k8s.io", "leases", NULL, NULL, true, false },
	{ "get", "coordination.k8s.io", "leases", NULL, "ufmsync-leader", true, false },
	{ "update", "coordination.k8s.io", "leases", NULL, "ufmsync-leader", true, false },
	{ "create", "authentication.k8s.io", "tokenreviews", NULL, NULL, false, true },
	{ "create", "authorization.k8s.io", "subjectaccessreviews", NULL, NULL, false, true },
};

static const struct right own_rights[] = {
	{ "create", "", "serviceaccounts", "token", "ufmsync-reader", true, false },
	{ "get", "", "services", "proxy", "https:ufmsync:8443", true, false },
	{ "create", "", "serviceaccounts", "token", "ufmsync-operator", true, false },
	{ "create", "", "services", "proxy", "https:ufmsync:8443", true, false },
};
enum { OWN_TO_READ = 2 }; /* the first ones; the others change something */

/* 1: allowed, 0: not, -1: err. */
static int ask(struct doctor *doctor, const struct right *right, const char *user, struct error *err)
{
	__attribute__((cleanup(json_freep))) json_t *review = NULL, *answer = NULL;
	const char *namespace = doctor_namespace(doctor);
	json_t *attributes =
		json_pack("{s:s, s:s, s:s}", "verb", right->verb, "group", right->group, "resource", right->resource);
	json_t *spec = json_pack("{s:o}", "resourceAttributes", attributes);

	if (right->subresource)
		json_object_set_new(attributes, "subresource", json_string(right->subresource));
	if (right->name)
		json_object_set_new(attributes, "name", json_string(right->name));
	if (right->here)
		json_object_set_new(attributes, "namespace", json_string(namespace));
	if (user) {
		__attribute__((cleanup(mem_freep))) char *group = mem_printf("system:serviceaccounts:%s", namespace);
		json_object_set_new(spec, "user", json_string(user));
		json_object_set_new(spec, "groups",
				    json_pack("[s, s, s]", "system:serviceaccounts", group, "system:authenticated"));
	}
	review = json_pack("{s:s, s:s, s:o}", "apiVersion", "authorization.k8s.io/v1", "kind",
			   user ? "SubjectAccessReview" : "SelfSubjectAccessReview", "spec", spec);
	if (reach_kube(doctor->reach, "POST", user ? SUBJECT_PATH : SELF_PATH, review, &answer, err) < 0)
		return -1;
	return json_is_true(json_at(answer, "status", "allowed", NULL)) ? 1 : 0;
}

static void add(struct doctor_names *names, const struct right *right)
{
	doctor_names_add(names, "%s %s%s%s", right->verb, right->resource, right->subresource ? "/" : "",
			 right->subresource ? right->subresource : "");
}

static void look_at_service_rights(struct doctor *doctor)
{
	const char *namespace = doctor_namespace(doctor);
	__attribute__((cleanup(mem_freep))) char *user = mem_printf("system:serviceaccount:%s:" ACCOUNT, namespace);
	struct doctor_names missing = { 0 }, https = { 0 };
	struct error err;

	for (size_t i = 0; i < array_length(service_rights); i++) {
		const struct right *right = &service_rights[i];
		int allowed = ask(doctor, right, user, &err);
		if (allowed < 0) {
			doctor_say(doctor, err.kind == ERROR_AUTH ? DOCTOR_WARNING : DOCTOR_FAILURE,
				   "rights of the service", "cannot be told: %s", err.text);
			return;
		}
		if (!allowed)
			add(right->https ? &https : &missing, right);
	}
	if (missing.n > 0)
		doctor_say(doctor, DOCTOR_FAILURE, "rights of the service",
			   "%s may not: %s: apply deploy/base/rbac.yaml (a part of deploy/ufm and deploy/opensm), or "
			   "name its namespace with --service-namespace",
			   user, doctor_names_text(&missing));
	if (https.n > 0)
		doctor_say(doctor, DOCTOR_WARNING, "rights of the service",
			   "%s may not: %s: without it neither CNI plugins nor this tool can ask at its https port",
			   user, doctor_names_text(&https));
	if (missing.n + https.n == 0)
		doctor_say(doctor, DOCTOR_OK, "rights of the service", "%s may do all that it needs", user);
}

static void look_at_own_rights(struct doctor *doctor)
{
	struct doctor_names reading = { 0 }, changing = { 0 };
	struct error err;

	for (size_t i = 0; i < array_length(own_rights); i++) {
		int allowed = ask(doctor, &own_rights[i], NULL, &err);
		if (allowed < 0) {
			doctor_say(doctor, DOCTOR_WARNING, "your rights", "cannot be told: %s", err.text);
			return;
		}
		if (!allowed)
			add(i < OWN_TO_READ ? &reading : &changing, &own_rights[i]);
	}
	if (reading.n > 0)
		doctor_say(doctor, DOCTOR_WARNING, "your rights",
			   "you may not: %s: without it this tool reaches the service only with --server",
			   reading.text);
	else if (changing.n > 0)
		doctor_say(doctor, DOCTOR_OK, "your rights",
			   "you may ask the service; not change anything (%s of ufmsync-operator)", changing.text);
	else
		doctor_say(doctor, DOCTOR_OK, "your rights", "you may ask the service, and change things through it");
}

void doctor_look_at_rights(struct doctor *doctor)
{
	look_at_service_rights(doctor);
	if (doctor->ctl->reach_options.way != REACH_SERVER)
		look_at_own_rights(doctor);
}
