#include "ufmsync/setup/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ufmsync/kube/backoff.h"
#include "ufmsync/kube/yaml.h"
#include "ufmsync/setup/facts.h"
#include "ufmsync/setup/report.h"

enum {
	REQUEST_MS = 10 * 1000,
	LATER_MS = 2 * 1000, /* until somebody else's Secret is looked for again */
	STEPS_MAX = 24,      /* of one pass, conflicts with others included: all there is to do takes five */
	ANSWER_MAX = 4 << 20,
};

struct setup_run {
	struct loop *loop;
	struct kube *kube;
	const struct setup_options *options;
	FILE *out;
	void (*done)(void *aux, enum setup_exit code);
	void *aux;

	struct loop_timer timer;
	struct backoff backoff;
	int64_t deadline_ms;
	struct http_request *request;

	struct setup_objects objects;
	int object;     /* that is being read */
	unsigned steps; /* of this pass */
	bool updates;   /* what is being written was there */
	struct setup_decision decision;
	char *said; /* what was said last of how things are: nothing is said twice in a row */
};

static void read_object(struct setup_run *run);
static void turn(struct setup_run *run);

static void finish(struct setup_run *run, enum setup_exit code)
{
	loop_timer_stop(&run->timer);
	run->done(run->aux, code);
}

static void again_in(struct setup_run *run, int64_t ms)
{
	loop_timer_at(&run->timer, loop_now_ms() + ms);
}

/* --- how things are ---------------------------------------------------------------------------------------------- */

/* Says it unless it is what was said last. */
static void say(struct setup_run *run, enum log_level level, const char *id, const char *text)
{
	if (run->said && strcmp(run->said, text) == 0)
		return;
	log_say(level, id, NULL, "%s", text);
	free(run->said);
	run->said = mem_dup(text);
}

/* The API server does not answer well. */
static void failed(struct setup_run *run, const struct error *err, int64_t retry_after_ms)
{
	int64_t wait = backoff_next(&run->backoff, retry_after_ms);
	bool stay = run->options->how == SETUP_STAY;

	setup_objects_clear(&run->objects);
	if (run->options->how == SETUP_CHECK || (!stay && loop_now_ms() + wait > run->deadline_ms)) {
		say(run, LOG_ERROR, "SETUP_FAILED", err->text);
		finish(run, SETUP_EXIT_FAILED);
		return;
	}
	say(run, LOG_WARN, "SETUP_FAILED", err->text);
	again_in(run, wait);
}

static void over(struct setup_run *run, enum setup_step worst)
{
	bool stay = run->options->how == SETUP_STAY;

	if (run->options->how == SETUP_DRY_RUN)
		finish(run, worst == SETUP_TROUBLE ? SETUP_EXIT_FAILED : SETUP_EXIT_DONE);
	else if (worst == SETUP_LATER && (stay || loop_now_ms() + LATER_MS <= run->deadline_ms))
		again_in(run, LATER_MS);
	else if (stay)
		again_in(run, run->options->interval_ms);
	else
		finish(run, worst == SETUP_RIGHT || worst == SETUP_WAIT ? SETUP_EXIT_DONE : SETUP_EXIT_FAILED);
}

/* Nothing is to be written (any more): what is left to be said, all in one. */
static void settle(struct setup_run *run, const struct setup_facts *facts)
{
	char *text = NULL;
	enum setup_step worst = setup_report_state(&text, facts, &run->options->wish, loop_wall_ms() / 1000);

	run->backoff.failures = 0;
	setup_objects_clear(&run->objects);
	if (run->options->how == SETUP_DRY_RUN)
		fprintf(run->out, "%s\n", text);
	else if (worst == SETUP_TROUBLE)
		say(run, LOG_ERROR, "SETUP_TROUBLE", text);
	else
		say(run, LOG_INFO, worst == SETUP_LATER ? "SETUP_WAITS" : "SETUP_RIGHT", text);
	free(text);
	over(run, worst);
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static const char *id_of(enum setup_step step)
{
	static const char *const ids[] = {
		[SETUP_MAKE_KEY] = "RECORD_KEY_MADE", [SETUP_MAKE_CA] = "CA_MADE",   [SETUP_PUBLISH] = "CA_PUBLISHED",
		[SETUP_ISSUE] = "CERTIFICATE_ISSUED", [SETUP_TIDY] = "CA_WITHDRAWN",
	};

	return ids[step];
}

static void on_written(void *aux, const struct kube_reply *reply)
{
	struct setup_run *run = aux;
	const struct setup_decision *decision = &run->decision;

	run->request = NULL;
	/* Somebody else made, changed or deleted it since it was read: what there is to be done is decided anew. */
	if (reply->error && reply->status != 409 && !(reply->status == 404 && run->updates)) {
		failed(run, reply->error, reply->retry_after_ms);
		return;
	}
	if (!reply->error)
		log_say(decision->loss ? LOG_WARN : LOG_INFO, id_of(decision->step), NULL, "%s: %s",
			setup_report_step(decision->step), decision->why);
	run->object = 0;
	read_object(run);
}

static void send(struct setup_run *run, enum setup_object which, const json_t *object)
{
	bool there = run->objects.at[which];
	char *path = setup_object_path(which, run->options->wish.namespace, there);
	char *text = json_dumps(object, JSON_COMPACT);
	const struct kube_request_options options = {
		.method = there ? "PUT" : "POST",
		.path = path,
		.body = text,
		.body_len = strlen(text),
		.timeout_ms = REQUEST_MS,
		.answer_max = ANSWER_MAX,
		.done = on_written,
		.aux = run,
	};

	run->updates = there;
	run->request = kube_send(run->kube, &options);
	mem_wipe_free(text);
	free(path);
}

static void write_step(struct setup_run *run)
{
	int64_t now_s = loop_wall_ms() / 1000;
	struct error err = { 0 };
	enum setup_object which;
	json_t *object;

	if (run->steps++ == STEPS_MAX) {
		error_set(&err, ERROR_RETRY, "it does not come to an end: others change the same objects at once");
		failed(run, &err, -1);
		return;
	}
	if (setup_write(&object, &which, run->decision.step, &run->objects, &run->options->wish, now_s, &err) < 0) {
		failed(run, &err, -1);
		return;
	}
	if (run->options->how == SETUP_DRY_RUN) {
		fprintf(run->out, "would %s: %s\n", setup_report_would(run->decision.step), run->decision.why);
		yaml_wipe(run->objects.at[which]);
		run->objects.at[which] = object;
		turn(run);
		return;
	}
	send(run, which, object);
	yaml_wipe(object);
}

/* --- reading and deciding ---------------------------------------------------------------------------------------- */

static void turn(struct setup_run *run)
{
	const struct setup_wish *wish = &run->options->wish;
	int64_t now_s = loop_wall_ms() / 1000;
	struct setup_facts facts;

	setup_look(&facts, &run->objects, wish, now_s);
	if (run->options->how == SETUP_CHECK) {
		finish(run, setup_report(run->out, &facts, wish, now_s));
		return;
	}
	for (int part = 0; part < SETUP_PARTS; part++) {
		if (!wish->parts[part])
			continue;
		run->decision = setup_decide(&facts, (enum setup_part)part, now_s);
		if (setup_step_writes(run->decision.step)) {
			write_step(run);
			return;
		}
	}
	settle(run, &facts);
}

static bool is_needed(const struct setup_wish *wish, int object)
{
	switch (object) {
	case SETUP_RECORD_KEY:
		return wish->parts[SETUP_PART_KEY];
	case SETUP_CA_KEY:
		return wish->parts[SETUP_PART_CERTIFICATE];
	default:
		return wish->parts[SETUP_PART_CERTIFICATE] || wish->parts[SETUP_PART_TRUST];
	}
}

static void on_read(void *aux, const struct kube_reply *reply)
{
	struct setup_run *run = aux;

	run->request = NULL;
	if (reply->error && reply->status != 404) {
		failed(run, reply->error, reply->retry_after_ms);
		return;
	}
	if (!reply->error)
		run->objects.at[run->object] = json_deep_copy(reply->object);
	run->object++;
	read_object(run);
}

/* The next one; decides when all are there. */
static void read_object(struct setup_run *run)
{
	if (run->object == 0)
		setup_objects_clear(&run->objects);
	while (run->object < SETUP_OBJECTS && !is_needed(&run->options->wish, run->object))
		run->object++;
	if (run->object == SETUP_OBJECTS) {
		turn(run);
		return;
	}
	char *path = setup_object_path((enum setup_object)run->object, run->options->wish.namespace, true);
	run->request = kube_send(run->kube, &(struct kube_request_options){
						    .method = "GET",
						    .path = path,
						    .timeout_ms = REQUEST_MS,
						    .answer_max = ANSWER_MAX,
						    .done = on_read,
						    .aux = run,
					    });
	free(path);
}

static void on_timer(struct loop_timer *timer)
{
	struct setup_run *run = container_of(timer, struct setup_run, timer);

	run->object = 0;
	run->steps = 0;
	read_object(run);
}

struct setup_run *setup_run_new(struct loop *loop, struct kube *kube, const struct setup_options *options, FILE *out,
				void (*done)(void *aux, enum setup_exit code), void *aux)
{
	struct setup_run *run = mem_alloc(sizeof *run);

	run->loop = loop;
	run->kube = kube;
	run->options = options;
	run->out = out;
	run->done = done;
	run->aux = aux;
	run->backoff.random = (uint64_t)loop_wall_ms();
	run->deadline_ms = loop_now_ms() + options->timeout_ms;
	loop_timer_init(&run->timer, loop, on_timer);
	loop_timer_at(&run->timer, 0);
	return run;
}

void setup_run_free(struct setup_run *run)
{
	if (!run)
		return;
	if (run->request)
		http_cancel(run->request);
	loop_timer_stop(&run->timer);
	setup_objects_clear(&run->objects);
	free(run->said);
	free(run);
}
