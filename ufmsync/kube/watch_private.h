#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/scan.h"
#include "ufmsync/kube/backoff.h"
#include "ufmsync/kube/watch.h"

/* Shared by watch.c (which request comes when) and watch_scan.c (what its bytes say). */

struct kube_watch {
	struct loop *loop;
	struct kube *kube;
	struct kube_watch_options options; /* path and field_selector are ours */
	bool selective;                    /* the server takes the selector */
	struct backoff backoff;
	unsigned expirations; /* in a row */

	bool listing;     /* else watching */
	char *version;    /* to watch from; NULL: a list is needed */
	char *page_token; /* `continue` of the list under way; NULL: its first page, or its last was read */
	bool begun;       /* `begin` was called for this list */
	bool synced;
	bool waits;            /* after an outage */
	int64_t not_before_ms; /* the server asked for that long, by Retry-After */

	struct http_request *request;
	struct scan *scan;
	int64_t started_ms;
	bool heard;         /* this watch brought something */
	struct error event; /* an ERROR event ended it; of no kind: none did */
	struct loop_timer again;
	bool troubled; /* `trouble` was told */
	struct kube_watch_counts counts;

	unsigned busy;       /* within callbacks of ours that must not lose us */
	bool freed, restart; /* asked for within them */
};

/* A new scanner for what comes now: the page of a list, or events.  It calls the options' functions, and stops when one
 * of them has freed or restarted the watch. */
void watch_scan_list(struct kube_watch *watch);
void watch_scan_events(struct kube_watch *watch);
