#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guid/guid.h"
#include "pkey/pkey.h"

/* Which attachment of a pod a CNI plugin means.  Pure.
 *
 * multus tells a plugin the configuration's name and the interface's, not which network definition or which element of
 * the pod's annotation it runs for; an element that asks for no interface name becomes "net<k>", where k counts from 1
 * and the cluster's own default networks, of which we know nothing, come first. */
struct attach_candidate {
	int index;               /* position in the pod's networks, each once; -1: the default network */
	const char *interface;   /* as asked for; "" */
	const char *config_name; /* "" not known */
	bool has_guid;
	struct guid guid;
	struct pkey pkey; /* as its network names it; 0: none, or not known */
};

struct attach_ask {
	const char *interface, *network_name;
	bool has_hint;
	struct guid hint; /* the GUID that multus passed */
	bool leads;       /* this replica may choose where nothing determines the choice: only one may */
	uint64_t sandbox; /* of the pod: all interfaces of one have the same number; 0: not said */
	struct pkey pkey; /* that the plugin's own configuration names; 0: none, or not known */
};

/* What an interface of this pod was given before.  It keeps others away in the same sandbox; with another one all
 * interfaces are made anew, and may be numbered otherwise. */
struct attach_given {
	char interface[16];
	int index;
	uint64_t sandbox;
};

enum attach_match {
	ATTACH_MATCH_FOUND,
	ATTACH_MATCH_NONE,   /* no attachment of that network, or none that this interface can mean */
	ATTACH_MATCH_TAKEN,  /* other interfaces were given all of them */
	ATTACH_MATCH_LEADER, /* nothing determines which: the leader has to choose */
};

/* In this order: the hint, believed only if it is an attachment of this pod that fits and that no other interface was
 * given; the interface's name as the pod asks for it; among those of the network that ask for no name (where one has the
 * PKey that the plugin's configuration names, among such, as networks may share a configuration's name) the one given
 * before, else the one at that position, else (as far as possible without memory, so that a restart changes nothing) the
 * k-th in turn, else the first that is free.  FOUND: *found is its place in `candidates`. */
enum attach_match attach_match(const struct attach_candidate *candidates, size_t n, const struct attach_ask *ask,
			       const struct attach_given *given, size_t n_given, size_t *found);
