#include "cni/plugin/cni_error.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"

enum { JSON_MAX = 6 * (CNI_MESSAGE_MAX + CNI_DETAILS_MAX) + 256 }; /* each byte escaped */

int cni_fail(struct cni_error *err, unsigned code, const char *format, ...)
{
	char text[CNI_MESSAGE_MAX]; /* the new may be made of the old */
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	utf8_one_line(text);
	*err = (struct cni_error){ .code = code };
	snprintf(err->message, sizeof err->message, "%s", text);
	return -1;
}

int cni_fail_details(struct cni_error *err, const char *format, ...)
{
	char text[CNI_DETAILS_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	utf8_one_line(text);
	snprintf(err->details, sizeof err->details, "%s", text);
	return -1;
}

void cni_error_print(FILE *out, const char *version, const struct cni_error *err)
{
	struct buf json;

	buf_init(&json, JSON_MAX);
	buf_text(&json, "{\"cniVersion\":");
	buf_json_string(&json, version ? version : "1.0.0");
	buf_printf(&json, ",\"code\":%u,\"msg\":", err->code);
	buf_json_string(&json, err->message);
	if (*err->details) {
		buf_text(&json, ",\"details\":");
		buf_json_string(&json, err->details);
	}
	buf_text(&json, "}\n");
	fwrite(json.data, 1, json.len, out);
	buf_free(&json);
}
