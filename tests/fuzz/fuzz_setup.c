/* Secrets and ConfigMap of anybody, as a JSON list of up to four objects: looked at, judged, and, where they are fine or
 * missing, written.  What is written must read as good. */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "ufmsync/kube/yaml.h"
#include "ufmsync/setup/facts.h"
#include "ufmsync/setup/report.h"

#define NOW INT64_C(1800000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_all(struct setup_objects *objects, const struct setup_wish *wish)
{
	struct setup_facts facts;

	for (int writes = 0; writes < 8; writes++) {
		enum setup_object which;
		struct error err;
		json_t *object;
		setup_look(&facts, objects, wish, NOW);
		struct setup_decision decision = setup_decide(&facts, SETUP_PART_CERTIFICATE, NOW);
		if (!setup_step_writes(decision.step))
			return;
		if (setup_write(&object, &which, decision.step, objects, wish, NOW, &err) < 0)
			return; /* a CA whose key cannot sign like this */
		yaml_wipe(objects->at[which]);
		objects->at[which] = object;
	}
	abort(); /* it does not come to an end */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "ufmsync.ib.svc", "ufmsync.ib" };
	const struct setup_wish wish = {
		.namespace = "ib",
		.names = names,
		.n_names = 2,
		.days = 365,
		.parts = { [SETUP_PART_KEY] = true, [SETUP_PART_CERTIFICATE] = true },
	};
	struct setup_objects objects = { 0 };
	struct setup_facts facts;
	struct error err;
	char *text;
	json_t *list = json_parse((const char *)data, size, &err);

	if (!json_is_array(list)) {
		json_decref(list);
		return 0;
	}
	for (size_t i = 0; i < SETUP_OBJECTS; i++)
		if (json_is_object(json_array_get(list, i)))
			objects.at[i] = json_deep_copy(json_array_get(list, i));
	json_decref(list);
	setup_look(&facts, &objects, &wish, NOW);
	setup_report_state(&text, &facts, &wish, NOW);
	free(text);
	write_all(&objects, &wish);
	setup_objects_clear(&objects);
	return 0;
}
