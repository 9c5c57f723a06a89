#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "guid/guid.h"

/* A pod reduced to the few fields that matter to us, its network annotations parsed.  Pure.
 *
 * Everything in an annotation is written by a tenant: what does not parse becomes a `problem` of that pod, never an
 * error of ours. */

enum pod_source {
	POD_NETWORKS,
	POD_DEFAULT_NETWORK
}; /* k8s.v1.cni.cncf.io/networks, v1.multus-cni.io/default-network */

enum pod_wish { POD_WISH_NONE, POD_WISH_GUID, POD_WISH_BAD };

/* One element of a networks annotation: one interface that the pod asks for. */
struct pod_network {
	enum pod_source source;
	int index;       /* its position in `networks`; -1 for the default network */
	char *namespace; /* of the network definition; the pod's own (kube-system for the default network) if not said */
	char *name;
	char *interface;    /* as asked for; "" when not said */
	enum pod_wish wish; /* infiniband-guid, else cni-args.guid.  BAD: present but no GUID, zero or all-ones */
	struct guid guid;   /* with POD_WISH_GUID */
	char *wish_text;    /* with POD_WISH_BAD, cut at 64 bytes; else NULL */
	/* What already stands there, whoever wrote it.  A key that is said twice, with different values, stands for nothing. */
	bool configured;   /* cni-args: "mellanox.infiniband.app": "configured" */
	char *pkey_text;   /* cni-args.pkey: a string of at most 64 bytes, or the digits of a number; else NULL */
	bool pkey_odd;     /* cni-args.pkey is there, but not as one string */
	bool runtime_guid; /* infiniband-guid is there */
	/* The same GUIDs if they stand there exactly as they would be published; else zero. */
	struct guid args_guid, request_guid;
};

struct pod {
	char *uid, *namespace, *name;
	char *node; /* "" when not bound */
	bool host_network;
	bool finished;      /* phase Succeeded or Failed */
	bool terminating;   /* has a deletionTimestamp */
	int64_t gone_at_ms; /* deletionTimestamp, ms since 1970: the end of its grace period; 0 when not terminating */
	int64_t grace_ms;   /* deletionGracePeriodSeconds; 0 when not terminating */
	bool containers_ended;        /* the kubelet has reported every container as terminated */
	bool migration_target;        /* label kubevirt.io/migrationJobUID */
	struct pod_network *networks; /* those of `networks` in order, then the default network */
	size_t n_networks;
	/* An annotation cannot be read: what and where, for the pod's owner; NULL when all is well.  As multus refuses such
	 * an annotation as a whole, none of its elements is among `networks`. */
	char *problem;
	/* The raw annotations, NULL when absent; needed to patch them.  May be dropped with pod_forget_texts(). */
	char *networks_text, *default_text, *record_text;
	bool texts_known;
	bool record_odd;      /* the record is there, but holds control characters: then there is no record_text */
	bool has_annotations; /* any at all, whosever */
	char *static_uid; /* annotation kubernetes.io/config.hash: the uid by which CNI knows a static pod; NULL: none */
};

#define POD_NETWORKS_KEY        "k8s.v1.cni.cncf.io/networks"
#define POD_DEFAULT_NETWORK_KEY "v1.multus-cni.io/default-network"
#define POD_RECORD_KEY          "ufmsync.io/record"
enum { POD_NETWORKS_MAX = 64 }; /* interfaces a pod may name; more is a problem of that pod */

/* From a Pod object of the API.  NULL when the object is no pod at all (no uid, namespace or name). */
struct pod *pod_from_json(const json_t *object);
/* Cheap look without parsing: may this pod concern us (either annotation or a record present)?  Others need not be
 * reduced at all, unless they are known from before: an annotation may have been taken away. */
bool pod_json_may_matter(const json_t *object);
void pod_free(struct pod *pod); /* NULL is fine */
void pod_forget_texts(struct pod *pod);
const char *pod_source_key(enum pod_source source);

/* What is decided for one interface, to be written into the annotation exactly as ib-kubernetes does. */
struct pod_publication {
	enum pod_source source;
	int index;
	struct guid guid;
	const char *pkey_text; /* as the network definition writes it; NULL: no pkey, none is written */
	bool runtime_guid;     /* the definition has the capability infinibandGUID; ignored for the default network */
};

/* Whether the pod's annotations already say exactly this: pod_patch() would change none of them. */
bool pod_is_published(const struct pod *pod, const struct pod_publication *publications, size_t n);

/* Appends a JSON Patch (RFC 6902) whose `test` operations hold the pod's UID and the old text of every annotation that
 * is written (a missing one tests as null).  Short form becomes the JSON form; unknown fields, their order and the
 * spelling of their values stay.  `record`: text of POD_RECORD_KEY, NULL: leave it alone.  A pod without any annotation
 * map gets one.  The pod's texts must be known.  ERROR_INVALID when a publication names an interface that the texts do
 * not have, ERROR_LIMIT when the buffer is too small. */
int pod_patch(struct buf *patch, const struct pod *pod, const struct pod_publication *publications, size_t n,
	      const char *record, struct error *err);
