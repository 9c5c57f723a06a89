#include "secrets/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "secrets/folder.h"
#include "secrets/pem.h"

enum form { TEXT, CERTIFICATE, KEY };

static const struct {
	const char *name, *alias;
	enum form form;
} settings[SECRET_COUNT] = {
	[SECRET_UFM_USERNAME] = { "UFM_USERNAME", "UFM_USER", TEXT },
	[SECRET_UFM_PASSWORD] = { "UFM_PASSWORD", NULL, TEXT },
	[SECRET_UFM_TOKEN] = { "UFM_TOKEN", NULL, TEXT },
	[SECRET_UFM_CERTIFICATE] = { "UFM_CERTIFICATE", NULL, CERTIFICATE },
	[SECRET_UFM_CLIENT_CERT] = { "UFM_CLIENT_CERT", NULL, CERTIFICATE },
	[SECRET_UFM_CLIENT_KEY] = { "UFM_CLIENT_KEY", NULL, KEY },
	[SECRET_OPENSM_SM_KEY] = { "OPENSM_SM_KEY", NULL, TEXT },
	[SECRET_RECORD_KEY] = { "UFMSYNC_RECORD_KEY", NULL, TEXT },
};

struct secrets {
	struct folder *folder; /* NULL: environment only */
	char *values[SECRET_COUNT];
	char origins[SECRET_COUNT][32];
};

/* One place where settings are looked up: the folder, or the environment. */
struct source {
	const struct folder *folder;
	secrets_lookup_fn *lookup;
	void *aux;
};

const char *secret_name(enum secret_id id)
{
	return settings[id].name;
}

static const char *source_get(const struct source *source, const char *name)
{
	const char *text = source->folder   ? folder_text(source->folder, name)
			   : source->lookup ? source->lookup(source->aux, name)
					    : NULL;

	return text && text[0] ? text : NULL;
}

/* The text as it is, or PEM that parses. */
static int read_value(char **out, enum form form, const char *text, struct error *err)
{
	char *pem = NULL;

	if (form == TEXT) {
		*out = mem_dup(text);
		return 0;
	}
	if (pem_decode(&pem, text, err) < 0)
		return -1;
	if ((form == CERTIFICATE ? pem_check_certificate(pem, err) : pem_check_key(pem, err)) < 0) {
		mem_wipe_free(pem);
		return -1;
	}
	*out = pem;
	return 0;
}

/* Takes the setting from this source if it is there.  Its two names must not disagree. */
static int load_setting(struct secrets *secrets, enum secret_id id, const struct source *source, struct error *err)
{
	const char *name = settings[id].name, *alias = settings[id].alias;
	const char *text = source_get(source, name), *other = alias ? source_get(source, alias) : NULL;
	const char *place = source->folder ? "file" : "environment";

	if (text && other && strcmp(text, other) != 0)
		return error_set(err, ERROR_INVALID, "%s and %s (%s) differ; set one of them", name, alias, place);
	if (!text) {
		name = alias;
		text = other;
	}
	if (!text)
		return 0;
	char *origin = secrets->origins[id];
	snprintf(origin, sizeof secrets->origins[id], "%s%s%s", place, source->folder ? " " : "",
		 source->folder ? name : "");
	if (read_value(&secrets->values[id], settings[id].form, text, err) < 0)
		return error_wrap(err, "%s (%s)", name, origin);
	return 0;
}

int secrets_load(struct secrets **ret, const char *dir, secrets_lookup_fn *lookup, void *aux, struct error *err)
{
	struct secrets *secrets = mem_alloc(sizeof *secrets);

	if (dir && folder_read(&secrets->folder, dir, err) < 0) {
		secrets_free(secrets);
		return -1;
	}
	const struct source folder = { .folder = secrets->folder };
	const struct source environment = { .lookup = lookup, .aux = aux };
	for (enum secret_id id = 0; id < SECRET_COUNT; id++) {
		if (load_setting(secrets, id, &folder, err) < 0 ||
		    (!secrets->values[id] && load_setting(secrets, id, &environment, err) < 0)) {
			secrets_free(secrets);
			return -1;
		}
	}
	*ret = secrets;
	return 0;
}

void secrets_free(struct secrets *secrets)
{
	if (!secrets)
		return;
	for (enum secret_id id = 0; id < SECRET_COUNT; id++)
		mem_wipe_free(secrets->values[id]);
	folder_free(secrets->folder);
	free(secrets);
}

const char *secrets_get(const struct secrets *secrets, enum secret_id id)
{
	return secrets->values[id];
}

const char *secrets_origin(const struct secrets *secrets, enum secret_id id)
{
	return secrets->origins[id];
}

const char *secrets_other(const struct secrets *secrets, const char *name)
{
	return secrets->folder ? folder_text(secrets->folder, name) : NULL;
}

const char *secrets_name_in_folder(const struct secrets *secrets, size_t i)
{
	return secrets->folder ? folder_name(secrets->folder, i) : NULL;
}

bool secrets_equal(const struct secrets *a, const struct secrets *b)
{
	for (enum secret_id id = 0; id < SECRET_COUNT; id++) {
		const char *x = a->values[id], *y = b->values[id];
		if (!x != !y || (x && strcmp(x, y) != 0))
			return false;
	}
	return folder_equal(a->folder, b->folder);
}

bool secrets_stale(const struct secrets *secrets)
{
	return secrets->folder && folder_changed(secrets->folder);
}
