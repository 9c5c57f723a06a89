#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What the node file says (cni/plugin/node_file.h reads it).  Pure. */

struct node_text {
	const char *address, *port; /* numeric, without brackets */
	const char *server_name;
	/* NULL: left out. */
	const char *node, *log, *timeout, *connect_timeout;
};

/* CA and token are named as files beside it. */
#define NODE_TEXT_CA    "ca.crt"
#define NODE_TEXT_TOKEN "token"

char *node_text(const struct node_text *say); /* to be freed */
/* The address in such a text, when it is that of the same service (the name in its certificate); NULL: there is none that
 * could be used.  To be freed. */
char *node_text_address(const char *text, size_t len, const char *server_name);

bool node_text_is_address(const char *text); /* numeric */

/* Which of the answers to use: the present one as long as it is among them, so that nodes do not change their server
 * because a name server shuffles.  NULL: there is none.  Borrowed from the answers. */
const char *node_text_choose(const char *present, const char *const *answers, size_t n);
