#include "tests/mock/kube_reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void mkube_reply_free(struct mkube_reply *reply)
{
	free(reply->body);
	*reply = (struct mkube_reply){ 0 };
}

void mkube_reply_version(struct mkube_reply *reply, int status, const struct mkube_version *version)
{
	mkube_reply_free(reply);
	reply->status = status;
	reply->body = mem_dup_n(version->text, version->len);
	reply->len = version->len;
}

void mkube_reply_json(struct mkube_reply *reply, int status, json_t *object)
{
	mkube_reply_free(reply);
	reply->status = status;
	reply->body = json_dumps(object, JSON_COMPACT);
	reply->len = strlen(reply->body);
	json_decref(object);
}

static json_t *text_json(const char *text)
{
	json_t *string = json_string(text);

	return string ? string : json_string("(not UTF-8)");
}

bool mkube_fail(struct mkube_reply *reply, int code, const char *reason, json_t *details, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	json_t *status = json_pack("{s:s, s:s, s:{}, s:s, s:o}", "kind", "Status", "apiVersion", "v1", "metadata",
				   "status", "Failure", "message", text_json(text));
	if (reason)
		json_object_set_new(status, "reason", json_string(reason));
	if (details)
		json_object_set_new(status, "details", details);
	json_object_set_new(status, "code", json_integer(code));
	mkube_reply_json(reply, code, status);
	return false;
}

static json_t *details_of(enum mkube_kind kind, const char *name, bool as_kind)
{
	const struct mkube_resource *resource = &mkube_resources[kind];
	json_t *details = json_object();

	json_object_set_new(details, "name", text_json(name));
	if (*resource->group)
		json_object_set_new(details, "group", json_string(resource->group));
	json_object_set_new(details, "kind", json_string(as_kind ? resource->kind : resource->plural));
	return details;
}

static bool fail_named(struct mkube_reply *reply, int code, const char *reason, enum mkube_kind kind, const char *name,
		       const char *before, const char *after)
{
	char plural[128];

	mkube_resource_name(plural, sizeof plural, &mkube_resources[kind]);
	return mkube_fail(reply, code, reason, details_of(kind, name, false), "%s%s \"%s\"%s", before, plural, name,
			  after);
}

bool mkube_fail_not_found(struct mkube_reply *reply, enum mkube_kind kind, const char *name)
{
	return fail_named(reply, 404, "NotFound", kind, name, "", " not found");
}

bool mkube_fail_exists(struct mkube_reply *reply, enum mkube_kind kind, const char *name)
{
	return fail_named(reply, 409, "AlreadyExists", kind, name, "", " already exists");
}

bool mkube_fail_modified(struct mkube_reply *reply, enum mkube_kind kind, const char *name)
{
	return fail_named(
		reply, 409, "Conflict", kind, name, "Operation cannot be fulfilled on ",
		": the object has been modified; please apply your changes to the latest version and try again");
}

bool mkube_fail_bad_request(struct mkube_reply *reply, const char *text)
{
	return mkube_fail(reply, 400, "BadRequest", NULL, "%s", text);
}

bool mkube_fail_invalid(struct mkube_reply *reply, enum mkube_kind kind, const char *name, const char *reason,
			const char *field, const char *text)
{
	const struct mkube_resource *resource = &mkube_resources[kind];
	json_t *details = details_of(kind, name, true);

	json_object_set_new(
		details, "causes",
		json_pack("[{s:s, s:o, s:s}]", "reason", reason, "message", text_json(text), "field", field));
	return mkube_fail(reply, 422, "Invalid", details, "%s%s%s \"%s\" is invalid: %s: %s", resource->kind,
			  *resource->group ? "." : "", resource->group, name, field, text);
}

void mkube_reply_success(struct mkube_reply *reply, int status, json_t *details)
{
	json_t *object = json_pack("{s:s, s:s, s:{}, s:s}", "kind", "Status", "apiVersion", "v1", "metadata", "status",
				   "Success");

	if (details)
		json_object_set_new(object, "details", details);
	if (status == 201)
		json_object_set_new(object, "code", json_integer(201));
	mkube_reply_json(reply, status, object);
}
