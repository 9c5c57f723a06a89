#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cni/plugin/cni_error.h"

/* How this node reaches the service; written by the node installer, read at each call.
 *
 *	{"server":"10.96.7.20:8443","serverName":"ufmsync.kube-system.svc","ca":"ca.crt","token":"token",
 *	 "node":"gpu-17","timeout":"70s","connectTimeout":"10s","log":"syslog"}
 *
 * server: numeric address and port ("[fd00::1]:8443").  ca, token: files, relative ones beside this file; the token is
 * one line.  log: absent (none), "syslog", or an absolute path of a file that is appended to.  sysfs: another root of
 * sysfs (a test, an unusual host).  The first four are needed; a key that is not known here is refused. */

#define NODE_FILE_DEFAULT "/etc/cni/net.d/ufmsync.d/ufmsync.conf"
/* Another one: set by whoever starts the plugin (a test), never by a network definition. */
#define NODE_FILE_VARIABLE "UFMSYNC_NODE_FILE"

struct node_file {
	char *address; /* numeric, without brackets */
	char *port;
	char *server_name;
	char *ca_path, *token_path;
	char *node;                 /* "" when not said */
	char *log;                  /* NULL: none; "syslog"; a path */
	char *sysfs;                /* root of sysfs, "/sys" unless said */
	int64_t timeout_ms;         /* of one attach in all; default 70 s */
	int64_t connect_timeout_ms; /* how long a service that cannot be reached is tried; default 10 s */
	char *ca, *token;           /* what the files hold; the token without its newline; wiped when freed */
};

/* Pure: the text of the file at `path` (for messages and relative names).  CNI_NODE_FILE names key and what is
 * accepted. */
int node_file_parse(struct node_file *file, const char *path, const char *text, size_t len, struct cni_error *err);
/* The same, from disk, with CA and token read: files of at most 64 KiB. */
int node_file_load(struct node_file *file, const char *path, struct cni_error *err);
void node_file_free(struct node_file *file);
