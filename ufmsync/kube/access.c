#include "ufmsync/kube/access.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/kube/access_private.h"

enum {
	ASKS_MAX = 16384,
	TOKENS_MAX = 32 << 20, /* bytes of those that wait for their review */
	KEPT_MAX = 16384,
	KEPT_BYTES = 16 << 20,
	REFUSED_MAX = 4096,
	REFUSED_BYTES = 4 << 20,
	REFUSED_MS = 5 * 1000,
	ASK_MS = 20 * 1000,
	SLICE_NS = 1000 * 1000, /* of a turn of the loop, for answers that came at once */
};

/* --- answers --- */

struct access_answer *access_answer_new(enum access_says says, char *text)
{
	struct access_answer *answer = mem_alloc(sizeof *answer);

	*answer = (struct access_answer){ .refs = 1, .says = says, .text = text };
	return answer;
}

struct access_answer *access_answer_ref(struct access_answer *answer)
{
	answer->refs++;
	return answer;
}

void access_answer_unref(void *value)
{
	struct access_answer *answer = value;

	if (!answer || --answer->refs > 0)
		return;
	access_user_free(&answer->user);
	free(answer->text);
	free(answer);
}

static void keep(struct kube_access *access, const struct access_key *key, struct access_answer *answer, int64_t yes_ms)
{
	int64_t now = loop_now_ms();
	size_t bytes = sizeof *answer + (answer->text ? strlen(answer->text) : 0) + answer->user.size;

	if (answer->says == ACCESS_YES && yes_ms > 0)
		access_cache_put(&access->kept, key, access_answer_ref(answer), bytes, now, now + yes_ms);
	else if (answer->says == ACCESS_NO)
		access_cache_put(&access->refused, key, access_answer_ref(answer), bytes, now, now + REFUSED_MS);
}

static struct access_answer *kept(struct kube_access *access, const struct access_key *key)
{
	int64_t now = loop_now_ms();
	struct access_answer *answer = access_cache_get(&access->kept, key, now);

	return answer ? answer : access_cache_get(&access->refused, key, now);
}

static void hash_key(const struct kube_access *access, struct access_key *key, enum access_question question,
		     const void *bytes, size_t n, const char *method, const char *path)
{
	unsigned char tag = (unsigned char)question;
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (!md || !EVP_DigestInit_ex(md, EVP_sha256(), NULL) ||
	    !EVP_DigestUpdate(md, access->secret, sizeof access->secret) || !EVP_DigestUpdate(md, &tag, 1) ||
	    !EVP_DigestUpdate(md, bytes, n) || !EVP_DigestUpdate(md, method, strlen(method) + 1) ||
	    !EVP_DigestUpdate(md, path, strlen(path)) || !EVP_DigestFinal_ex(md, key->bytes, NULL))
		abort(); /* out of memory: it has no other way to fail */
	EVP_MD_CTX_free(md);
}

/* The key of the ask's present question. */
static struct access_key key_of(const struct kube_access_ask *ask)
{
	struct access_key key = ask->token;

	if (ask->question != ACCESS_WHO)
		hash_key(ask->access, &key, ask->question, ask->token.bytes, sizeof ask->token.bytes,
			 ask->question == ACCESS_MAY ? ask->method : "", ask->question == ACCESS_MAY ? ask->path : "");
	return key;
}

/* --- asks --- */

/* Takes the answer over.  Those who asked hear of it from the loop, in slices: there may be thousands. */
void access_task_end(struct access_task *task, struct access_answer *answer, int64_t yes_ms)
{
	struct kube_access *access = task->access;
	struct kube_access_ask *ask;

	keep(access, &task->link.key, answer, yes_ms);
	while ((ask = TAILQ_FIRST(&task->asks))) {
		TAILQ_REMOVE(&task->asks, ask, link);
		ask->task = NULL;
		ask->answer = access_answer_ref(answer);
		TAILQ_INSERT_TAIL(&access->ready, ask, link);
		loop_timer_at(&access->deliver, loop_now_ms());
	}
	access_answer_unref(answer);
	access_task_free(task);
	access_task_pump(access);
}

/* From wherever it waits.  A task that nobody waits for any more is not begun; one under way goes on for the next. */
static void ask_leave(struct kube_access_ask *ask)
{
	struct access_task *task = ask->task;

	if (task) {
		TAILQ_REMOVE(&task->asks, ask, link);
		if (TAILQ_EMPTY(&task->asks) && !task->request)
			access_task_free(task);
	} else if (ask->answer) {
		TAILQ_REMOVE(&ask->access->ready, ask, link);
		access_answer_unref(ask->answer);
	}
	ask->task = NULL;
	ask->answer = NULL;
}

static void ask_free(struct kube_access_ask *ask)
{
	struct kube_access *access = ask->access;

	ask_leave(ask);
	TAILQ_REMOVE(&access->all, ask, age);
	access->n_asks--;
	access_answer_unref(ask->who);
	free(ask->method);
	free(ask->path);
	free(ask);
	if (!TAILQ_EMPTY(&access->all))
		loop_timer_at(&access->deadline, TAILQ_FIRST(&access->all)->due_ms);
	else
		loop_timer_stop(&access->deadline);
}

static void ask_end(struct kube_access_ask *ask, enum kube_verdict verdict, const char *node, const char *why)
{
	bool known = verdict == KUBE_ACCESS_OK || verdict == KUBE_ACCESS_FORBIDDEN;
	struct kube_identity who = { .user = known ? ask->who->user.name : NULL, .node = node };

	ask->done(ask->aux, verdict, known ? &who : NULL, why);
	ask_free(ask);
}

/* The answers to its questions.  False: there is another question. */
static bool take_who(struct kube_access_ask *ask, struct access_answer *answer)
{
	if (answer->says == ACCESS_NO) {
		ask_end(ask, KUBE_ACCESS_WHO, NULL, answer->text);
		return true;
	}
	ask->who = access_answer_ref(answer);
	ask->question = ACCESS_MAY;
	if (ask->path)
		return false;
	ask_end(ask, KUBE_ACCESS_FORBIDDEN, NULL, "no rule could allow a method or path like this");
	return true;
}

static bool take_right(struct kube_access_ask *ask, const struct access_answer *answer)
{
	const struct access_user *user = &ask->who->user;

	if (answer->says == ACCESS_NO) {
		ask_end(ask, KUBE_ACCESS_FORBIDDEN, NULL, answer->text);
		return true;
	}
	if (ask->node && !user->node && user->pod) {
		ask->question = ACCESS_NODE;
		return false;
	}
	ask_end(ask, KUBE_ACCESS_OK, ask->node ? user->node : NULL, "");
	return true;
}

static bool ask_take(struct kube_access_ask *ask, struct access_answer *answer)
{
	if (answer->says == ACCESS_BAD) {
		ask_end(ask, KUBE_ACCESS_UNAVAILABLE, NULL, answer->text);
		return true;
	}
	switch (ask->question) {
	case ACCESS_WHO:
		return take_who(ask, answer);
	case ACCESS_MAY:
		return take_right(ask, answer);
	case ACCESS_NODE:
		ask_end(ask, KUBE_ACCESS_OK, answer->says == ACCESS_YES ? answer->text : NULL, "");
		return true;
	}
	abort();
}

/* As far as kept answers go.  True: to its end.  `token` is needed for the first question alone. */
static bool ask_go_on(struct kube_access_ask *ask, const char *token)
{
	struct kube_access *access = ask->access;

	for (;;) {
		struct access_key key = key_of(ask);
		struct access_answer *answer = kept(access, &key);

		if (!answer) {
			struct access_link *link = access_table_find(&access->tasks, &key);

			ask->task =
				link ? container_of(link, struct access_task, link) : access_task_new(ask, &key, token);
			TAILQ_INSERT_TAIL(&ask->task->asks, ask, link);
			access_task_pump(access);
			return false;
		}
		access_answer_ref(answer);
		bool over = ask_take(ask, answer);
		access_answer_unref(answer);
		if (over)
			return true;
	}
}

static bool slice_is_over(const struct kube_access *access)
{
	return loop_turn_ns(access->loop) > SLICE_NS;
}

static void on_deliver(struct loop_timer *timer)
{
	struct kube_access *access = container_of(timer, struct kube_access, deliver);
	struct kube_access_ask *ask;

	while ((ask = TAILQ_FIRST(&access->ready))) {
		struct access_answer *answer = ask->answer;

		assert(answer); /* that is what it is ready for */
		TAILQ_REMOVE(&access->ready, ask, link);
		ask->answer = NULL;
		if (!ask_take(ask, answer))
			ask_go_on(ask, NULL);
		access_answer_unref(answer);
		if (slice_is_over(access))
			break;
	}
	if (!TAILQ_EMPTY(&access->ready))
		loop_timer_at(timer, loop_now_ms());
}

static void on_deadline(struct loop_timer *timer)
{
	struct kube_access *access = container_of(timer, struct kube_access, deadline);
	struct kube_access_ask *ask;
	int64_t now = loop_now_ms();

	while ((ask = TAILQ_FIRST(&access->all)) && ask->due_ms <= now) {
		ask_leave(ask);
		ask_end(ask, KUBE_ACCESS_UNAVAILABLE, NULL, "the API server did not answer in time");
		if (slice_is_over(access))
			return; /* freeing it has set the timer for the next */
	}
}

struct kube_access_ask *kube_access_check(struct kube_access *access, const char *token, const char *method,
					  const char *path, bool node, kube_access_done_fn *done, void *aux)
{
	if (!access_token_is_sane(token)) {
		done(aux, KUBE_ACCESS_WHO, NULL, "what was sent as a bearer token is none");
		return NULL;
	}
	if (access->n_asks >= ASKS_MAX || access->token_bytes >= TOKENS_MAX) {
		done(aux, KUBE_ACCESS_UNAVAILABLE, NULL, "the API server is being asked about too many already");
		return NULL;
	}
	struct kube_access_ask *ask = mem_alloc(sizeof *ask);
	bool sane = access_request_is_sane(method, path);
	*ask = (struct kube_access_ask){
		.access = access,
		.question = ACCESS_WHO,
		.method = sane ? mem_dup(method) : NULL,
		.path = sane ? mem_dup(path) : NULL,
		.node = node,
		.due_ms = loop_now_ms() + access->ask_ms,
		.done = done,
		.aux = aux,
	};
	hash_key(access, &ask->token, ACCESS_WHO, token, strlen(token), "", "");
	TAILQ_INSERT_TAIL(&access->all, ask, age);
	access->n_asks++;
	if (ask_go_on(ask, token)) {
		access->served++;
		return NULL;
	}
	loop_timer_at(&access->deadline, TAILQ_FIRST(&access->all)->due_ms);
	return ask;
}

void kube_access_cancel(struct kube_access_ask *ask)
{
	ask_free(ask);
}

/* --- life --- */

struct kube_access *kube_access_new(struct loop *loop, struct kube *kube)
{
	struct kube_access *access = mem_alloc(sizeof *access);

	access->kube = kube;
	access->loop = loop;
	access->ask_ms = ASK_MS;
	if (RAND_bytes(access->secret, sizeof access->secret) != 1)
		abort(); /* a system without randomness could not have spoken TLS either */
	access_cache_init(&access->kept, KEPT_MAX, KEPT_BYTES, access_answer_unref);
	access_cache_init(&access->refused, REFUSED_MAX, REFUSED_BYTES, access_answer_unref);
	TAILQ_INIT(&access->queued);
	TAILQ_INIT(&access->running);
	TAILQ_INIT(&access->all);
	TAILQ_INIT(&access->ready);
	loop_timer_init(&access->deliver, loop, on_deliver);
	loop_timer_init(&access->deadline, loop, on_deadline);
	return access;
}

void kube_access_free(struct kube_access *access)
{
	struct kube_access_ask *ask;
	struct access_task *task;

	if (!access)
		return;
	while ((ask = TAILQ_FIRST(&access->all)))
		ask_free(ask);
	while ((task = TAILQ_FIRST(&access->running))) {
		http_cancel(task->request);
		access_task_free(task);
	}
	assert(TAILQ_EMPTY(&access->queued) && access->n_asks == 0 && access->token_bytes == 0);
	loop_timer_stop(&access->deliver);
	loop_timer_stop(&access->deadline);
	access_cache_clear(&access->kept);
	access_cache_clear(&access->refused);
	explicit_bzero(access->secret, sizeof access->secret);
	free(access);
}

void kube_access_counts(const struct kube_access *access, uint64_t *reviews, uint64_t *kept_asks)
{
	*reviews = access->reviews;
	*kept_asks = access->served;
}
