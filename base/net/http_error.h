#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* What libcurl says about an exchange that failed, turned into a kind and a sentence for the operator.  Pure. */
struct http_failure {
	CURLcode code;
	const char *detail;      /* libcurl's own words, "" when it has none */
	const char *refusal;     /* of the server's certificate, NULL when it was not refused */
	const char *peer;        /* "ufm.example:443" */
	int os_errno;            /* of connect(), or 0 */
	bool sent;               /* part of the request may have arrived */
	bool client_certificate; /* we have one */
};

/* Never holds more of the request than the peer. */
void http_explain(struct error *err, const struct http_failure *failure);
