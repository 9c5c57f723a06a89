#include "ufmsync/kube/lease.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

struct lease {
	struct loop *loop;
	struct kube *kube;
	struct lease_options options;
	char *namespace, *name, *identity, *annotation;
	struct loop_timer timer;
	struct http_request *request;
	json_t *object;    /* as last read or written; NULL: does not exist */
	char *fingerprint; /* holder and renewal: changes whenever the holder is alive */
	int64_t seen_ms;   /* when the fingerprint last changed */
	bool leading, troubled;
	int64_t claim_ms; /* until then the holder from whom it is being taken may still be heard; 0: nobody */
	bool hurried;     /* a conflict was answered at once: the next one waits for the timer */
	bool releasing, giving;
	int64_t asked_ms;   /* when the write under way was sent */
	int64_t renewed_ms; /* when the last write that succeeded was sent */
	/* Until then may still be heard: we as a former holder; another one; one whom no Lease tells of. */
	int64_t own_quiet_ms, quiet_ms, doubt_ms;
	int64_t rest_until_ms; /* of the giving back: then nobody is heard any more */
	void (*released)(void *aux);
	void *released_aux;
};

enum lease_step lease_decide(const struct lease_seen *seen, const char *identity)
{
	if (!seen->exists)
		return LEASE_CREATE;
	if (seen->holder[0] == '\0' || strcmp(seen->holder, identity) == 0)
		return LEASE_TAKE;
	return seen->unchanged_ms > seen->duration_ms ? LEASE_TAKE : LEASE_WAIT;
}

static void read_lease(struct lease *lease);
static void write_lease(struct lease *lease, const char *method, const char *holder);
static void give_back(struct lease *lease);

static const char *object_holder(const struct lease *lease)
{
	const char *holder = json_str(lease->object, "spec", "holderIdentity", NULL);

	return holder ? holder : "";
}

static const char *object_annotation(const struct lease *lease)
{
	return json_str(lease->object, "metadata", "annotations", lease->annotation, NULL);
}

const char *lease_holder(const struct lease *lease)
{
	return object_holder(lease);
}

/* Given back: nobody holds it, and its duration says for how long after somebody may still be heard, plus a second
 * since it cannot be 0. */
static int64_t object_rest(const struct lease *lease)
{
	int64_t seconds = json_int(lease->object, 0, "spec", "leaseDurationSeconds", NULL);

	return object_holder(lease)[0] == '\0' && seconds > 0 && seconds < 86400 ? (seconds - 1) * 1000 : -1;
}

static void remember(struct lease *lease, const json_t *object, int64_t now)
{
	json_t *copy = object ? json_deep_copy(object) : NULL;

	json_decref(lease->object);
	lease->object = copy;
	const char *renewed = json_str(lease->object, "spec", "renewTime", NULL);
	char *fingerprint = mem_printf("%s %s", object_holder(lease), renewed ? renewed : "");
	if (!lease->fingerprint || strcmp(lease->fingerprint, fingerprint) != 0)
		lease->seen_ms = now;
	free(lease->fingerprint);
	lease->fingerprint = fingerprint;
}

static void trouble(struct lease *lease, const struct error *err)
{
	if (!err && !lease->troubled)
		return;
	lease->troubled = err != NULL;
	if (lease->options.trouble)
		lease->options.trouble(lease->options.aux, err);
}

static void extend(int64_t *quiet, int64_t until)
{
	if (*quiet < until)
		*quiet = until;
}

/* Our own last request may go on as long as anybody's, and it is not a part of what we do when we lead again. */
static void lose(struct lease *lease, int64_t now)
{
	if (!lease->leading)
		return;
	lease->leading = false;
	extend(&lease->own_quiet_ms, now + lease->options.linger_ms);
	lease->options.lost(lease->options.aux);
}

static bool is_over(const struct lease *lease, int64_t sent_ms, int64_t now)
{
	return now >= sent_ms + lease->options.times.renew_deadline_ms;
}

static int64_t object_duration(const struct lease *lease)
{
	int64_t seconds = json_int(lease->object, 0, "spec", "leaseDurationSeconds", NULL);

	return seconds > 0 && seconds < 86400 ? seconds * 1000 : lease->options.times.duration_ms;
}

/* A holder that renews less often than its Lease now says (somebody changed it) is not taken for dead too early. */
static int64_t patience(const struct lease *lease)
{
	int64_t duration_ms = object_duration(lease);

	return duration_ms > lease->options.times.duration_ms ? duration_ms : lease->options.times.duration_ms;
}

/* Sets the timer for the next step; a leader's deadline is watched on the way, since answers may never come. */
static void schedule(struct lease *lease, int64_t now)
{
	int64_t next = now + lease->options.times.retry_ms,
		end = lease->renewed_ms + lease->options.times.renew_deadline_ms;

	if (!lease->leading) {
		/* Whatever passes before a sign of life is seen is added to what it takes to take over. */
		next = now + lease->options.times.retry_ms / 2;
		end = lease->seen_ms + patience(lease) + 1;
	}
	loop_timer_at(&lease->timer, end > now && end < next ? end : next);
}

static void decide(struct lease *lease, int64_t now)
{
	struct lease_seen seen = {
		.exists = lease->object != NULL,
		.holder = object_holder(lease),
		.unchanged_ms = now - lease->seen_ms,
		.duration_ms = patience(lease),
	};

	if (lease->leading && strcmp(seen.holder, lease->identity) != 0)
		lose(lease, now);
	if (seen.holder[0] == '\0')
		lease->claim_ms = 0;
	else if (strcmp(seen.holder, lease->identity) == 0)
		lease->claim_ms =
			now + lease->options.linger_ms; /* a process before this one, or we when we had lost it */
	else
		lease->claim_ms = lease->seen_ms + patience(lease) + lease->options.linger_ms;
	switch (lease_decide(&seen, lease->identity)) {
	case LEASE_CREATE:
		write_lease(lease, "POST", lease->identity);
		return;
	case LEASE_TAKE:
		write_lease(lease, "PUT", lease->identity);
		return;
	case LEASE_WAIT:
		trouble(lease, NULL);
		schedule(lease, now);
		return;
	}
}

static void finish_release(struct lease *lease)
{
	void (*released)(void *aux) = lease->released;

	lease->released = NULL;
	if (released)
		released(lease->released_aux);
}

/* What others did to it since we last looked.  Whoever held it then may not have noticed yet that it was taken away; only
 * a Lease that was given back says that nobody is left. */
static void judge_change(struct lease *lease, const json_t *object, int64_t now)
{
	char *holder = mem_dup(object_holder(lease)), *fingerprint = mem_dup(lease->fingerprint);
	int64_t heard_until = now + patience(lease) + lease->options.linger_ms;
	bool was_anothers = holder[0] != '\0' && strcmp(holder, lease->identity) != 0;

	remember(lease, object, now);
	bool changed = !fingerprint || strcmp(fingerprint, lease->fingerprint) != 0;
	int64_t rest = object_rest(lease);
	if (was_anothers && strcmp(holder, object_holder(lease)) != 0)
		extend(&lease->quiet_ms, heard_until);
	if (rest == 0)
		lease->quiet_ms = lease->doubt_ms = 0;
	else if (object_holder(lease)[0] != '\0' || !changed || lease_may_write(lease, now))
		; /* has a holder, is known, or was ours until now: nobody else can have written */
	else if (rest > 0)
		extend(&lease->quiet_ms, now + rest + lease->options.linger_ms);
	else
		extend(&lease->doubt_ms, heard_until);
	free(holder);
	free(fingerprint);
}

/* The server behind an old connection may be gone without a word: the next try is to reach one that is there. */
static void heard_nothing(struct lease *lease, const struct kube_reply *reply)
{
	if (reply->status == 0)
		kube_drop_idle(lease->kube);
}

static void on_read(void *aux, const struct kube_reply *reply)
{
	struct lease *lease = aux;
	int64_t now = loop_now_ms();

	lease->request = NULL;
	heard_nothing(lease, reply);
	if (reply->error && reply->status != 404) {
		trouble(lease, reply->error);
		if (lease->releasing)
			finish_release(lease);
		else
			schedule(lease, now);
		return;
	}
	judge_change(lease, reply->error ? NULL : reply->object, now);
	if (lease->releasing)
		give_back(lease);
	else
		decide(lease, now);
}

static void keep_quiet(struct lease *lease)
{
	lease->leading = true;
	extend(&lease->quiet_ms, lease->claim_ms);
	extend(&lease->quiet_ms, lease->own_quiet_ms);
}

static void taken(struct lease *lease, int64_t now)
{
	keep_quiet(lease);
	schedule(lease, now);
	lease->options.leading(lease->options.aux, lease->quiet_ms, lease->doubt_ms, object_annotation(lease));
}

/* A conflict (somebody was faster, or put an annotation on it) or a deletion: looked at at once, but only once until the
 * timer's next turn, as the same may be the answer for ever. */
static bool looks_again(struct lease *lease, const struct kube_reply *reply)
{
	if ((reply->status != 409 && reply->status != 404) || lease->hurried)
		return false;
	lease->hurried = true;
	read_lease(lease);
	return true;
}

/* A renewal that was under way when the end came, or the giving back itself.  Where no answer comes any more nobody is
 * kept waiting: the Lease then expires. */
static void written_at_the_end(struct lease *lease, const struct kube_reply *reply, int64_t now)
{
	if (!reply->error)
		remember(lease, reply->object, now);
	if (!reply->error && !lease->giving) {
		if (!lease->leading) { /* it was the taking */
			keep_quiet(lease);
			extend(&lease->quiet_ms, lease->doubt_ms);
		}
		give_back(lease);
	} else if (!reply->error || !looks_again(lease, reply)) {
		finish_release(lease);
	}
}

static void on_written(void *aux, const struct kube_reply *reply)
{
	struct lease *lease = aux;
	int64_t now = loop_now_ms();

	lease->request = NULL;
	heard_nothing(lease, reply);
	if (lease->releasing) {
		written_at_the_end(lease, reply, now);
		return;
	}
	if (reply->error) {
		if (looks_again(lease, reply))
			return;
		trouble(lease, reply->error);
		schedule(lease, now);
		return;
	}
	trouble(lease, NULL);
	remember(lease, reply->object, now);
	lease->renewed_ms = lease->asked_ms;
	if (lease->leading || is_over(lease, lease->renewed_ms, now))
		schedule(lease, now);
	else
		taken(lease, now);
}

static char *lease_path(const struct lease *lease, bool named)
{
	return mem_printf("/apis/coordination.k8s.io/v1/namespaces/%s/leases%s%s", lease->namespace, named ? "/" : "",
			  named ? lease->name : "");
}

static void send(struct lease *lease, const char *method, const json_t *body, kube_done_fn *done)
{
	char *path = lease_path(lease, strcmp(method, "POST") != 0);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct kube_request_options options = {
		.operation = strcmp(method, "GET") == 0 ? KUBE_READ_LEASE : KUBE_WRITE_LEASE,
		.method = method,
		.path = path,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.timeout_ms = lease->options.times.renew_deadline_ms / 2,
		.done = done,
		.aux = lease,
	};

	lease->request = kube_send(lease->kube, &options);
	free(text);
	free(path);
}

static void read_lease(struct lease *lease)
{
	send(lease, "GET", NULL, on_read);
}

static void set_string(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, json_string(value));
}

static json_t *child(json_t *object, const char *key)
{
	if (!json_is_object(json_object_get(object, key)))
		json_object_set_new(object, key, json_object());
	return json_object_get(object, key);
}

/* See object_rest(). */
static int64_t duration_s(const struct lease *lease, const char *holder)
{
	int64_t until = lease->rest_until_ms > lease->quiet_ms ? lease->rest_until_ms : lease->quiet_ms;
	int64_t rest_ms = until - loop_now_ms();

	if (holder[0] != '\0')
		return lease->options.times.duration_ms / 1000;
	return 1 + (rest_ms > 0 ? (rest_ms + 999) / 1000 : 0);
}

/* Everything that others put on the Lease stays. */
static void write_lease(struct lease *lease, const char *method, const char *holder)
{
	json_t *object = lease->object ? json_deep_copy(lease->object) : json_object();
	json_t *metadata = child(object, "metadata"), *spec = child(object, "spec");
	bool ours = strcmp(object_holder(lease), lease->identity) == 0;
	char now[28];

	set_string(object, "apiVersion", "coordination.k8s.io/v1");
	set_string(object, "kind", "Lease");
	set_string(metadata, "name", lease->name);
	set_string(metadata, "namespace", lease->namespace);
	const char *value = lease->leading && lease->options.annotate
				    ? lease->options.annotate(lease->options.aux, object_annotation(lease))
				    : NULL;
	if (value)
		set_string(child(metadata, "annotations"), lease->annotation, value);
	json_micro_time(now, loop_wall_ms());
	set_string(spec, "holderIdentity", holder);
	set_string(spec, "renewTime", now);
	json_object_set_new(spec, "leaseDurationSeconds", json_integer(duration_s(lease, holder)));
	if (!ours && holder[0] != '\0') {
		set_string(spec, "acquireTime", now);
		json_object_set_new(spec, "leaseTransitions",
				    json_integer(json_int(lease->object, -1, "spec", "leaseTransitions", NULL) + 1));
	}
	lease->asked_ms = loop_now_ms();
	send(lease, method, object, on_written);
	json_decref(object);
}

static void on_timer(struct loop_timer *timer)
{
	struct lease *lease = container_of(timer, struct lease, timer);
	int64_t now = loop_now_ms();

	lease->hurried = false;
	if (lease->leading && is_over(lease, lease->renewed_ms, now))
		lose(lease, now);
	if (lease->request) {
		schedule(lease, now);
		return;
	}
	if (lease->leading)
		write_lease(lease, "PUT", lease->identity);
	else
		read_lease(lease);
	/* An answer that never comes must not keep a leader from noticing that its time is over. */
	if (lease->request)
		schedule(lease, now);
}

struct lease *lease_new(struct loop *loop, struct kube *kube, const struct lease_options *options)
{
	struct lease *lease = mem_alloc(sizeof *lease);

	lease->loop = loop;
	lease->kube = kube;
	lease->options = *options;
	lease->namespace = mem_dup(options->namespace);
	lease->name = mem_dup(options->name);
	lease->identity = mem_dup(options->identity);
	lease->annotation = mem_dup(options->annotation);
	loop_timer_init(&lease->timer, loop, on_timer);
	loop_timer_at(&lease->timer, 0);
	return lease;
}

void lease_free(struct lease *lease)
{
	if (!lease)
		return;
	if (lease->request)
		http_cancel(lease->request);
	loop_timer_stop(&lease->timer);
	json_decref(lease->object);
	free(lease->fingerprint);
	free(lease->namespace);
	free(lease->name);
	free(lease->identity);
	free(lease->annotation);
	free(lease);
}

int64_t lease_write_by(const struct lease *lease)
{
	return lease->leading && !lease->releasing ? lease->renewed_ms + lease->options.times.renew_deadline_ms : 0;
}

bool lease_may_write(const struct lease *lease, int64_t now_ms)
{
	return now_ms < lease_write_by(lease);
}

bool lease_is_held(const struct lease *lease, int64_t now_ms)
{
	return object_holder(lease)[0] != '\0' && now_ms - lease->seen_ms <= object_duration(lease);
}

static void give_back(struct lease *lease)
{
	if (lease->leading && strcmp(object_holder(lease), lease->identity) == 0) {
		lease->giving = true;
		write_lease(lease, "PUT", "");
	} else {
		finish_release(lease);
	}
}

void lease_release(struct lease *lease, int64_t quiet_until, void (*done)(void *aux), void *aux)
{
	lease->rest_until_ms = quiet_until;

	loop_timer_stop(&lease->timer);
	lease->releasing = true;
	lease->hurried = false;
	lease->released = done;
	lease->released_aux = aux;
	/* A renewal under way decides which version there is to give back. */
	if (!lease->request)
		give_back(lease);
}
