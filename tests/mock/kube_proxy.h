#pragma once

#include "base/net/http.h"
#include "base/net/httpd.h"
#include "tests/mock/kube_api.h"

/* The API server's service proxy: .../services/SCHEME:NAME:PORT/proxy/PATH goes to one of the Service's Endpoints, without
 * the caller's Authorization.  Unlike the real one, an endpoint may be a loopback address. */
struct mkube_proxy_route {
	char namespace[MKUBE_NAME_MAX];
	char id[MKUBE_NAME_MAX]; /* "https:ufmsync:8443" */
	const char *path;        /* behind /proxy, within the path that was parsed; "/" at least */
};
bool mkube_proxy_parse(struct mkube_proxy_route *route, const char *path);
/* "https://192.0.2.1:8443" of an endpoint by chance, which the caller frees; NULL: answered. */
char *mkube_proxy_target(struct mkube_api *api, const struct mkube_proxy_route *route, struct mkube_reply *reply);

/* Sends it there; `done` is called once with the answer made, unless cancelled. */
struct mkube_proxied;
struct mkube_proxied *mkube_proxy_send(struct http *http, bool newer, struct httpd_request *request, const char *target,
				       const char *path, void (*done)(void *aux, struct mkube_reply *reply), void *aux);
void mkube_proxy_cancel(struct mkube_proxied *proxied);
