#include "cni/installer/source.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TEXT_MAX = 64 * 1024, PLUGIN_MAX = 64 * 1024 * 1024 };

void source_forget(struct source *source)
{
	if (source->bytes)
		explicit_bzero(source->bytes, source->len);
	free(source->bytes);
	*source = (struct source){ .bytes = NULL };
}

/* A text that failed its examination; `why` never quotes it. */
static int useless(struct source *source, const char *path, const char *why, struct error *err)
{
	source_forget(source);
	return error_set(err, ERROR_INVALID, "%s %s", path, why);
}

static bool is_visible(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return len > 0;
}

int source_token(struct source *ret, const char *path, struct error *err)
{
	if (host_read(&ret->bytes, &ret->len, path, TEXT_MAX, err) < 0)
		return error_wrap(err, "token (--token; mount a projected service account token there)");
	while (ret->len > 0 && (ret->bytes[ret->len - 1] == '\n' || ret->bytes[ret->len - 1] == '\r'))
		ret->len--;
	return is_visible(ret->bytes, ret->len) ? 0 : useless(ret, path, "is not a token (one line of text)", err);
}

int source_ca(struct source *ret, const char *path, struct error *err)
{
	if (host_read(&ret->bytes, &ret->len, path, TEXT_MAX, err) < 0)
		return error_wrap(err, "CA (--ca; mount the ConfigMap or Secret with the CA of the service there)");
	if (memchr(ret->bytes, '\0', ret->len))
		return useless(ret, path, "is not a text", err);
	if (strstr(ret->bytes, "PRIVATE KEY-----"))
		return useless(ret, path, "holds a private key: no key goes to the nodes, give the certificate alone",
			       err);
	if (!strstr(ret->bytes, "-----BEGIN CERTIFICATE-----") || !strstr(ret->bytes, "-----END CERTIFICATE-----"))
		return useless(ret, path, "holds no certificate in PEM", err);
	return 0;
}

int source_plugin(struct source *ret, const char *path, struct error *err)
{
	if (host_read(&ret->bytes, &ret->len, path, PLUGIN_MAX, err) < 0)
		return error_wrap(err, "plugin (--plugin)");
	return ret->len > 0 ? 0 : useless(ret, path, "is empty", err);
}

int source_stamp(struct host_stamp *ret, const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set_errno(err, "plugin (--plugin): open %s", path);
	*ret = host_stamp(&st);
	return 0;
}
