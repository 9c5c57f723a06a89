#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_tenants.h"

static void write_short(struct buf *text, const struct sim_element *element)
{
	if (element->namespace[0])
		buf_printf(text, "%s/", element->namespace);
	buf_text(text, element->name);
	if (element->interface[0])
		buf_printf(text, "@%s", element->interface);
}

static void write_args(struct buf *text, const struct sim_element *element)
{
	const char *before = "";

	buf_text(text, ",\"cni-args\":{");
	if (element->guid_text[0]) {
		buf_printf(text, "\"guid\":\"%s\"", element->guid_text);
		before = ",";
	}
	if (element->pkey_text[0]) {
		buf_printf(text, "%s\"pkey\":\"%s\"", before, element->pkey_text);
		before = ",";
	}
	if (element->configured)
		buf_printf(text, "%s\"mellanox.infiniband.app\":\"configured\"", before);
	buf_text(text, "}");
}

static void write_json(struct buf *text, const struct sim_element *element)
{
	buf_printf(text, "{\"name\":\"%s\"", element->name);
	if (element->namespace[0])
		buf_printf(text, ",\"namespace\":\"%s\"", element->namespace);
	if (element->interface[0])
		buf_printf(text, ",\"interface\":\"%s\"", element->interface);
	if (element->guid_text[0] || element->configured)
		write_args(text, element);
	buf_text(text, "}");
}

static char *write_source(const struct sim_pod *pod, enum pod_source source, bool short_form)
{
	bool any = false;
	struct buf text;

	buf_init(&text, 1 << 16);
	if (!short_form)
		buf_text(&text, "[");
	for (unsigned i = 0; i < pod->n_elements; i++) {
		if (pod->elements[i].source != source)
			continue;
		if (any)
			buf_text(&text, ",");
		any = true;
		if (short_form)
			write_short(&text, &pod->elements[i]);
		else
			write_json(&text, &pod->elements[i]);
	}
	if (!short_form)
		buf_text(&text, "]");
	if (any)
		return buf_take(&text);
	buf_free(&text);
	return NULL;
}

void sim_tenants_write(struct sim *sim, struct sim_pod *pod, bool short_form)
{
	(void)sim;
	for (unsigned i = 0; i < pod->n_elements; i++) {
		if (pod->elements[i].guid_text[0] || pod->elements[i].configured)
			short_form = false;
	}
	free(pod->networks_text);
	free(pod->default_text);
	pod->networks_text = write_source(pod, POD_NETWORKS, short_form);
	pod->default_text = write_source(pod, POD_DEFAULT_NETWORK, short_form);
}

/* --- edits --- */

static bool add_field(struct sim *sim, struct sim_pod *pod)
{
	char *text;

	if (!pod->networks_text || strncmp(pod->networks_text, "[{", 2) != 0 || strlen(pod->networks_text) > 4000)
		return false;
	text = mem_printf("[{\"x\":\"%llu\",%s", (unsigned long long)sim_rng_below(&sim->rng, 100),
			  pod->networks_text + 2);
	free(pod->networks_text);
	pod->networks_text = text;
	return true;
}

static bool drop_interface(struct sim *sim, struct sim_pod *pod)
{
	if (pod->n_elements < 2 || pod->elements[pod->n_elements - 1].source != POD_NETWORKS)
		return false;
	pod->n_elements--;
	sim_tenants_write(sim, pod, false);
	sim_rules_ended(sim, pod, pod->elements[pod->n_elements].index, false);
	return true;
}

static bool steal_guid(struct sim *sim, struct sim_pod *pod)
{
	const struct sim_grant *victim;

	if (!sim_rules_grants(sim) || !pod->n_elements)
		return false;
	victim = sim_rules_grant_at(sim, sim_rng_below(&sim->rng, sim_rules_grants(sim)));
	snprintf(pod->elements[0].guid_text, sizeof(pod->elements[0].guid_text), "%s",
		 guid_format((char[GUID_TEXT_MAX]){ 0 }, victim->guid));
	snprintf(pod->elements[0].pkey_text, sizeof(pod->elements[0].pkey_text), "%s", victim->pkey_text);
	pod->elements[0].configured = true;
	pod->loose = true;
	sim_tenants_write(sim, pod, false);
	return true;
}

static bool copy_record(struct sim *sim, struct sim_pod *pod)
{
	const struct sim_pod *other = sim_api_pod(sim->api, sim_rng_below(&sim->rng, sim_api_pods(sim->api)));
	char *text = mem_dup(sim_rng_chance(&sim->rng, 30) ? "1.e30.AAAA" : other->record_text);

	pod->loose = true;
	free(pod->record_text);
	pod->record_text = text;
	return true;
}

static bool break_text(struct sim_pod *pod)
{
	pod->loose = true;
	free(pod->networks_text);
	pod->networks_text = mem_dup("[{\"name\": ");
	return true;
}

static bool tamper(struct sim *sim, struct sim_pod *pod, const char **what)
{
	switch (sim_rng_below(&sim->rng, 9)) {
	case 0:
	case 1:
	case 2:
		*what = "adds a field of its own to";
		return add_field(sim, pod);
	case 3:
	case 4:
		*what = "takes what we wrote out of";
		sim_tenants_write(sim, pod, sim_rng_chance(&sim->rng, 30));
		return true;
	case 5:
		*what = "takes the last interface out of";
		return drop_interface(sim, pod);
	case 6:
		*what = "writes another's GUID into";
		return sim->plan.forgers && steal_guid(sim, pod);
	case 7:
		*what = "replaces the record of";
		return copy_record(sim, pod);
	default:
		*what = "breaks";
		return break_text(pod);
	}
}

void sim_tenants_tamper(struct sim *sim, struct sim_pod *pod)
{
	const char *what;

	if (!tamper(sim, pod, &what))
		return;
	sim_say(sim, "api      the owner of %s/%s %s its annotations: %s", pod->namespace, pod->name, what,
		pod->networks_text ? pod->networks_text : "-");
	sim_api_changed(sim, pod);
}
