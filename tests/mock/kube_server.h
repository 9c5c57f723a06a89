#pragma once

#include "base/net/httpd.h"
#include "tests/mock/kube_access.h"
#include "tests/mock/kube_faults.h"
#include "tests/mock/kube_log.h"
#include "tests/mock/kube_proxy.h"
#include "tests/mock/kube_watch.h"

/* The API over HTTP: who may, what was asked, what goes wrong on purpose, the answer. */
struct mkube_server {
	struct loop *loop;
	struct httpd *httpd;
	struct mkube_api api;
	struct mkube_watches *watches;
	struct mkube_faults *faults;
	struct mkube_log *log;
	struct mkube_access *access;
	struct http *http;       /* of the service proxy */
	struct loop_timer timer; /* of the watches */
	char **tokens;           /* that are let in; none: everybody is */
	size_t n_tokens;
	struct mkube_call *calls;
};

struct mkube_server_options {
	const char *listen, *cert, *key, *client_ca;
	size_t history, log_size;
	int64_t bookmark_ms;
	bool newer;
	const char *const *tokens; /* ends with NULL; copied */
};

int mkube_server_start(struct mkube_server *server, struct loop *loop, const struct mkube_server_options *options,
		       struct error *err);
void mkube_server_stop(struct mkube_server *server);
/* Looks at the watches again after something changed them. */
void mkube_server_tick(struct mkube_server *server);
