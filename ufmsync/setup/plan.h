#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ufmsync/setup/certificate.h"

/* What is to be done next, from what there is and the time.  Pure.
 *
 * One write at a time, and everything is read again before the next: so a process that ends between two writes, and two
 * that run at once, leave nothing half done.  The order is what keeps nodes from a server that they do not trust: a CA is
 * made, then published, and a certificate that works is only replaced by one of a new CA when the nodes had a day to take
 * that CA up. */

/* What is looked after. */
enum setup_part {
	SETUP_PART_KEY,         /* the record key */
	SETUP_PART_CERTIFICATE, /* our own CA, the certificate of the https port, and its CA for the nodes */
	SETUP_PART_TRUST,       /* only the last: of a certificate that somebody else makes */
	SETUP_PARTS
};

struct setup_wish {
	const char *namespace;
	const char *const *names; /* that the certificate must have; the first is the one that the nodes ask for */
	size_t n_names;
	unsigned days; /* of the server's certificate */
	bool parts[SETUP_PARTS];
};

enum setup_state {
	SETUP_ABSENT,
	SETUP_BROKEN,  /* it is there, and no good to anybody: `why` */
	SETUP_OURS,    /* made here, and good */
	SETUP_FOREIGN, /* good, and somebody else's */
};

struct setup_facts {
	struct {
		enum setup_state state;
		struct error why;
	} key;
	struct {
		enum setup_state state;
		struct error why;
		struct certificate_life life;
		bool permits; /* it may sign for all names */
	} ca;
	struct {
		enum setup_state state;
		struct error why;
		struct certificate_life life;
		bool by_ca;        /* signed by the CA above */
		bool has_name;     /* the first of all names */
		bool has_only;     /* all names and no other */
		bool trusted;      /* by those who have what is published, now */
		bool has_ca;       /* a CA stands beside it */
		bool ca_published; /* which is published */
	} server;
	struct {
		enum setup_state state; /* OURS: kept by us */
		struct error why;
		bool has_ca;      /* the CA above is among them */
		int64_t since_s;  /* since then; 0: not known */
		bool has_expired; /* some are of no use any more */
		bool has_former;  /* some are our own from before */
	} trust;
};

enum setup_step {
	/* Writes. */
	SETUP_MAKE_KEY,
	SETUP_MAKE_CA,
	SETUP_PUBLISH,
	SETUP_ISSUE,
	SETUP_TIDY,
	/* Nothing to write. */
	SETUP_RIGHT,
	SETUP_WAIT,    /* for a time that comes by itself: all is well meanwhile */
	SETUP_LATER,   /* for somebody else, who is likely at it */
	SETUP_TROUBLE, /* somebody has to do something: `why` says what */
};

struct setup_decision {
	enum setup_step step;
	const char *why;           /* what makes it necessary, or is waited for */
	const struct error *cause; /* of a SETUP_TROUBLE, or NULL; borrowed from the facts */
	bool loss;                 /* something is gone that this does not bring back */
};

struct setup_decision setup_decide(const struct setup_facts *facts, enum setup_part part, int64_t now_s);
bool setup_step_writes(enum setup_step step);

enum {
	SETUP_CA_DAYS = 3650,
	SETUP_DAY_S = 86400,
	SETUP_OVERLAP_S = SETUP_DAY_S, /* between a CA's publication and the first certificate that needs it */
};
/* Of what is made now. */
struct certificate_life setup_new_life(unsigned days, int64_t now_s);
