#pragma once

#include <stdbool.h>

#include "cni/installer/host.h"
#include "cni/installer/options.h"

/* What is ours on a node, and where. */

#define NODE_PLUGIN "ufmsync"
#define NODE_FOLDER "ufmsync.d"
#define NODE_CONF   "ufmsync.conf"

enum { NODE_PLUGIN_MODE = 0755, NODE_PRIVATE_MODE = 0600 };

/* HOST_BIN, and HOST_CONF with our folder in it.  Locked: to write; our folder is made when it is not there.  Otherwise
 * *ours is NULL then.  Errors say what to do. */
int node_open_bin(struct host_folder **bin, const struct options *options, bool lock, struct error *err);
int node_open_conf(struct host_folder **conf, const struct options *options, struct error *err);
int node_open_ours(struct host_folder **ours, const struct options *options, bool lock, struct error *err);

/* The node file's text, with the service at `address`; to be freed. */
char *node_conf_text(const struct options *options, const char *address);
/* The address that the node file of this service has now, to be freed; NULL: none. */
char *node_present_address(const struct host_folder *ours, const struct options *options);
