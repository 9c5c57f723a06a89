#pragma once

#include "ufmsync/ctl/command.h"
#include "ufmsync/ctl/direct.h"

/* What `doctor` looks at, one file a field; each check says its lines. */

enum doctor_state { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_FAILURE };

struct doctor {
	struct ctl *ctl;
	struct reach *reach;   /* to the API server, and the service */
	struct direct *direct; /* --direct, and the settings are fine; else NULL */
	json_t *items;
	unsigned failures, warnings;
};

void doctor_say(struct doctor *doctor, enum doctor_state state, const char *check, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
const char *doctor_namespace(const struct doctor *doctor); /* of the service */

/* A few names out of many: "a/x, a/y and 17 more". */
enum { DOCTOR_NAMES_MAX = 5, DOCTOR_NAMES_BYTES = 512 };
struct doctor_names {
	char text[DOCTOR_NAMES_BYTES];
	size_t n;
};
void doctor_names_add(struct doctor_names *names, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *doctor_names_text(struct doctor_names *names); /* once, at the end */

void doctor_look_at_settings(struct doctor *doctor);   /* doctor_fabric.c: settings, secret, certificates ... */
void doctor_look_at_fabric(struct doctor *doctor);     /* ... and what the fabric manager says */
void doctor_look_at_api_server(struct doctor *doctor); /* doctor_kube.c: reachable, version, kinds */
void doctor_look_at_objects(struct doctor *doctor);    /* networks and namespaces */
void doctor_look_at_rights(struct doctor *doctor);     /* doctor_rights.c: of the service, and our own */
void doctor_look_at_service(struct doctor *doctor);    /* doctor_service.c: Lease, status, https, records, budget */
/* "until 2027-01-02", and what to do when that is soon.  `pem`: or base64 of it; NULL: nothing is said. */
void doctor_look_at_certificate(struct doctor *doctor, const char *check, const char *pem, const char *renew);
