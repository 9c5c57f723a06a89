#include "tests/mock/kube_patch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

enum { OPERATIONS_MAX = 10000, TOKEN_MAX = 1024, DEPTH_MAX = 64 };

/* Where a pointer leads: a member of `parent`, which may not exist yet. */
struct place {
	json_t *parent; /* NULL: the whole document */
	char key[TOKEN_MAX];
	size_t index;  /* when parent is an array; its size means behind the end */
	json_t *value; /* NULL: not there */
};

static bool next_token(char token[TOKEN_MAX], const char **pointer)
{
	const char *p = *pointer;
	size_t n = 0;

	for (p++; *p && *p != '/'; p++) {
		char c = *p;

		if (c == '~') {
			p++;
			if (*p != '0' && *p != '1')
				return false;
			c = *p == '0' ? '~' : '/';
		}
		if (n + 1 >= TOKEN_MAX)
			return false;
		token[n++] = c;
	}
	token[n] = '\0';
	*pointer = p;
	return true;
}

static bool parse_index(size_t *index, const char *token, size_t size)
{
	if (strcmp(token, "-") == 0) {
		*index = size;
		return true;
	}
	if (!*token || strspn(token, "0123456789") != strlen(token) || strlen(token) > 6)
		return false;
	*index = strtoul(token, NULL, 10);
	return *index <= size;
}

static bool step(struct place *place, json_t *container)
{
	place->parent = container;
	place->value = NULL;
	if (json_is_object(container)) {
		place->value = json_object_get(container, place->key);
		return true;
	}
	if (!json_is_array(container) || !parse_index(&place->index, place->key, json_array_size(container)))
		return false;
	place->value = json_array_get(container, place->index);
	return true;
}

static int find(struct place *place, json_t *root, const char *pointer, struct error *err)
{
	const char *rest = pointer;

	*place = (struct place){ .value = root };
	if (*pointer && *pointer != '/')
		return error_set(err, ERROR_CONFLICT, "'%s' is no JSON pointer", pointer);
	for (int depth = 0; *rest; depth++) {
		json_t *container = place->value;

		if (depth == DEPTH_MAX || !next_token(place->key, &rest))
			return error_set(err, ERROR_CONFLICT, "'%s' is no JSON pointer", pointer);
		if (!container || !step(place, container))
			return error_set(err, ERROR_CONFLICT, "doc is missing path: %s", pointer);
	}
	return 0;
}

/* Steals `value`. */
static int put(json_t **root, struct place *place, json_t *value, bool insert)
{
	if (!place->parent) {
		json_decref(*root);
		*root = value;
		return 0;
	}
	if (json_is_object(place->parent))
		return json_object_set_new(place->parent, place->key, value);
	return insert ? json_array_insert_new(place->parent, place->index, value)
		      : json_array_set_new(place->parent, place->index, value);
}

static int take_out(struct place *place, const char *pointer, struct error *err)
{
	if (!place->value || !place->parent)
		return error_set(err, ERROR_CONFLICT, "unable to remove nonexistent key: %s", pointer);
	if (json_is_object(place->parent))
		json_object_del(place->parent, place->key);
	else
		json_array_remove(place->parent, place->index);
	return 0;
}

static int test(const struct place *place, const json_t *value, const char *pointer, struct error *err)
{
	bool null = !value || json_is_null(value);

	if (!place->value || json_is_null(place->value) ? null : json_equal(place->value, value))
		return 0;
	return error_set(err, ERROR_CONFLICT, "testing value %s failed", pointer);
}

static int move_or_copy(json_t **root, const json_t *operation, bool move, const char *pointer, struct error *err)
{
	const char *from = json_str(operation, "from", NULL);
	struct place source, target;

	if (!from)
		return error_set(err, ERROR_CONFLICT, "an operation lacks 'from'");
	if (find(&source, *root, from, err) < 0)
		return -1;
	if (!source.value)
		return error_set(err, ERROR_CONFLICT, "doc is missing key: %s", from);
	json_t *value = json_deep_copy(source.value);
	if ((move && take_out(&source, from, err) < 0) || find(&target, *root, pointer, err) < 0) {
		json_decref(value);
		return -1;
	}
	put(root, &target, value, true);
	return 0;
}

static int apply(json_t **root, const json_t *operation, bool strict, struct error *err)
{
	const char *op = json_str(operation, "op", NULL), *pointer = json_str(operation, "path", NULL);
	json_t *value = json_object_get(operation, "value");
	struct place place;

	if (!op || !pointer)
		return error_set(err, ERROR_CONFLICT, "an operation lacks 'op' or 'path'");
	if (strcmp(op, "move") == 0 || strcmp(op, "copy") == 0)
		return move_or_copy(root, operation, *op == 'm', pointer, err);
	if (find(&place, *root, pointer, err) < 0)
		return -1;
	if (strcmp(op, "test") == 0)
		return test(&place, value, pointer, err);
	if (strcmp(op, "remove") == 0)
		return take_out(&place, pointer, err);
	if (strcmp(op, "add") != 0 && strcmp(op, "replace") != 0)
		return error_set(err, ERROR_CONFLICT, "unexpected kind of operation: %s", op);
	if (!value)
		return error_set(err, ERROR_CONFLICT, "operation %s lacks 'value'", op);
	bool element = json_is_array(place.parent);
	if (*op == 'r' && !place.value && (strict || element))
		return error_set(err, ERROR_CONFLICT, "replace operation does not apply: doc is missing key: %s",
				 pointer);
	put(root, &place, json_deep_copy(value), *op == 'a');
	return 0;
}

int mkube_json_patch(json_t **object, const json_t *patch, bool strict, struct error *err)
{
	json_t *operation;
	size_t i;

	if (!json_is_array(patch))
		return error_set(err, ERROR_INVALID, "a JSON patch is an array");
	json_array_foreach((json_t *)(uintptr_t)patch, i, operation) if (!json_is_object(operation)) return error_set(
		err, ERROR_INVALID, "a JSON patch is an array of objects");
	if (json_array_size(patch) > OPERATIONS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d operations", OPERATIONS_MAX);
	for (i = 0; i < json_array_size(patch); i++)
		if (apply(object, json_array_get(patch, i), strict, err) < 0)
			return -1;
	return 0;
}

void mkube_merge_patch(json_t **object, const json_t *patch)
{
	const char *key;
	json_t *value;

	if (!json_is_object(patch)) {
		json_decref(*object);
		*object = json_deep_copy(patch);
		return;
	}
	if (!json_is_object(*object)) {
		json_decref(*object);
		*object = json_object();
	}
	json_object_foreach((json_t *)(uintptr_t)patch, key, value)
	{
		if (json_is_null(value)) {
			json_object_del(*object, key);
			continue;
		}
		/* Taken out, so that we hold the only reference to what is changed. */
		json_t *old = json_incref(json_object_get(*object, key));
		json_t *member = old ? old : json_null();

		mkube_merge_patch(&member, value);
		json_object_set_new(*object, key, member);
	}
}
