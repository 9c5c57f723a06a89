#pragma once

#include <stdio.h>

/* Errors as CNI has them: {"cniVersion","code","msg","details"} on stdout, exit status 1. */

enum cni_code {
	CNI_INCOMPATIBLE_VERSION = 1,
	CNI_INVALID_ENVIRONMENT = 4,
	CNI_IO_FAILURE = 5,
	CNI_UNDECODABLE = 6,
	CNI_INVALID_CONFIG = 7,
	CNI_TRY_AGAIN = 11,
	CNI_STATUS_UNAVAILABLE = 50,
	/* Ours; documented in the manual of the plugin. */
	CNI_NODE_FILE = 100,      /* the node's own file, CA or token cannot be used: the node installer's business */
	CNI_SERVICE_DENIED = 101, /* the service does not accept this node's token, or this pod on it (401, 403) */
	CNI_SERVICE_BROKEN = 102, /* its answer is not what was agreed on, or its certificate does not verify */
	CNI_REFUSED = 103,      /* the service decided that this interface gets no PKey (BadPKey, PKeyNotAllowed ...) */
	CNI_NO_DELEGATE = 104,  /* the delegate's binary is not in CNI_PATH, or cannot be run */
	CNI_NOT_VERIFIED = 105, /* the VF's P_Key table did not show the key in time */
};

enum { CNI_MESSAGE_MAX = 512, CNI_DETAILS_MAX = 2048 };

struct cni_error {
	unsigned code; /* enum cni_code, or what a delegate said */
	char message[CNI_MESSAGE_MAX];
	char details[CNI_DETAILS_MAX]; /* what to do; "" none */
};

/* Both return -1.  One line each, UTF-8, cut; never a secret. */
int cni_fail(struct cni_error *err, unsigned code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int cni_fail_details(struct cni_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the JSON.  `version`: that of the network config, NULL when it is not known ("1.0.0" then). */
void cni_error_print(FILE *out, const char *version, const struct cni_error *err);
