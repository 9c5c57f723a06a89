#pragma once

#include "base/buf.h"
#include "base/net/httpd.h"
#include "pkey/ufm.h"

/* The UFM backend against a server of this process that answers as the test wrote down beforehand.  What it was asked is
 * kept as lines "METHOD path[?guids_data] body", what the backend called back as words.  One such pair at a time. */

enum { SCRIPT_MAX = 64, WAIT = -1, RESET = -2, CUT = -3 };

struct answer {
	int status; /* or WAIT: never, RESET: close at once, CUT: a 200 that ends behind its first member */
	const char *body;
	const char *header; /* may be NULL */
};
extern struct answer script[SCRIPT_MAX];
extern unsigned scripted, asked; /* answers written down, and given */

extern struct loop *loop;
extern struct httpd *httpd;
extern struct pkey_backend *ufm;
extern struct secrets *secrets;
extern struct ufm_options options;
extern const char *environment[8][2]; /* what `secrets` is loaded from */

extern struct buf questions, said;
extern char last_authorization[128], last_client[64], last_agent[128];
extern struct error last;          /* what the last call back brought */
extern unsigned answers;           /* number of those */
extern unsigned n_held, open_most; /* requests that WAIT; the most that did so at a time */
extern const struct pkey_list_sink sink;

extern const struct guid two[2];
extern const struct pkey five;
extern const struct pkey_class full_five;

int fresh(void **state); /* a server over plain http, options for it; no backend yet */
int gone(void **state);
void connect_ufm(void);
struct secrets *load(void);
void handle(void *aux, struct httpd_request *request);

void will_answer(int status, const char *body);
void answer_held(unsigned i, int status, const char *body);
void done(void *aux, const struct error *err);
void run_until(unsigned n_answers);
void run_until_held(unsigned n);

/* Each asks for the thing, waits, and compares all that was called back. */
void assert_join(const char *outcome);
void assert_leave(const char *outcome);
void assert_list(const struct pkey *only, const char *outcome);
void assert_probe(const char *outcome);
/* All that was asked since the last such line, and that nothing written down is left. */
void assert_asked(const char *lines);

#define PAGE "<html><head><title>404 - No Such Resource</title></head></html>"
#define JOIN_ASKED                                                                                                     \
	"POST /ufmRest/resources/pkeys/ "                                                                              \
	"{\"pkey\":\"0x5\",\"index0\":true,\"ip_over_ib\":true,\"membership\":\"full\","                               \
	"\"guids\":[\"000000000000001a\",\"000000000000001b\"]}\n"
#define DELETE_ASKED "DELETE /ufmRest/resources/pkeys/0x5/guids/000000000000001a,000000000000001b \n"
#define ACTION_ASKED                                                                                                   \
	"POST /ufmRest/actions/remove_guids_from_pkey {\"pkey\":\"0x5\",\"guids\":[\"000000000000001a\","              \
	"\"000000000000001b\"]}\n"
#define PROBE_ASKED "GET /ufmRest/app/ufm_version \n"
#define LIST_ASKED  "GET /ufmRest/resources/pkeys/0x5?guids_data \n"
#define VERSION     "{\"ufm_release_version\":\"6.19.3-1\"}"
