#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What is said to the API server about a token and its user, and what its answers mean.  Pure: no I/O, no clock.  Every
 * answer is hostile until it is parsed: one that is not what was asked for is an error, never a yes. */

enum {
	ACCESS_TOKEN_MAX = 16 << 10,
	ACCESS_USER_MAX = 64 << 10, /* of all that is kept of a user */
	ACCESS_PATH_MAX = 1024,
	ACCESS_METHOD_MAX = 16,
};

/* The audience of tokens that are meant for us alone. */
#define ACCESS_AUDIENCE "ufmsync"

/* Printable ASCII without blanks, of a size that a token may have: what can stand in a header and is worth a review. */
bool access_token_is_sane(const char *token);
/* The letters of a method, and a path that begins with '/', is UTF-8 and not too long. */
bool access_request_is_sane(const char *method, const char *path);

/* When a JWT ends by its own word (`exp`), in ms since 1970; INT64_MAX when it does not say, or is no JWT.  Nothing is
 * verified here: only for a token that the API server has accepted. */
int64_t access_token_end_ms(const char *token);

struct access_user {
	char *name;
	char *subject;               /* members user, uid, groups and extra of a SubjectAccessReview's spec, as JSON */
	char *node;                  /* that the API server says the token belongs to, or NULL */
	char *namespace, *pod, *uid; /* of the pod it says the token belongs to; all three, or NULL */
	size_t size;                 /* bytes of these texts, about */
};
void access_user_free(struct access_user *user); /* the texts; fine for one that is all zeroes */

/* What the API server says to a question. */
enum access_says { ACCESS_YES, ACCESS_NO, ACCESS_BAD /* no such answer: err says what it is instead */ };

/* Body of a TokenReview, with the audience above or none; mem_wipe_free(). */
char *access_token_review(const char *token, bool audience);
/* With `audience` YES only when the answer names it: an older server knows no audiences, and its yes means that the token
 * is good for the API server.  Then *user is filled, for access_user_free(). */
enum access_says access_token_answer(struct access_user *user, const json_t *review, bool audience, struct error *err);

/* Body of a SubjectAccessReview, for free(): may `user` do this?  Method and path are sane. */
char *access_subject_review(const struct access_user *user, const char *method, const char *path);
/* With NO *reason is what the API server says about it, for free(); "" mostly. */
enum access_says access_subject_answer(char **reason, const json_t *review, struct error *err);

/* Path of the user's pod in the API, for free(). */
char *access_pod_path(const struct access_user *user);
/* With YES *node is where the pod runs, for free(); NO: it is another pod of that name, or not bound yet. */
enum access_says access_pod_answer(char **node, const struct access_user *user, const json_t *pod, struct error *err);
