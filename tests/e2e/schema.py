"""Holds an answer against the OpenAPI document: the subset of JSON Schema that it uses, and an error for anything else."""
import json
import os
import re

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "ufmsync", "openapi.json")
KNOWN = {"type", "required", "properties", "additionalProperties", "items", "enum", "pattern", "minimum", "maximum", "minItems",
         "maxItems", "description", "default", "$ref"}
TYPES = {"object": dict, "array": list, "string": str, "null": type(None)}


def load():
    with open(DOCUMENT) as f:
        return json.load(f)


def is_of(value, kind):
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])


def problems(document, schema, value, where="answer"):
    """What is wrong with `value`: a list of sentences."""
    unknown = set(schema) - KNOWN
    if unknown:
        return ["%s: the document says %s, which is not understood here" % (where, ", ".join(sorted(unknown)))]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_of(value, kind) for kind in kinds):
        return ["%s: %r is not %s" % (where, value, " or ".join(kinds))]
    if value is None:
        return [] if "null" in kinds else ["%s is null" % where]
    found = []
    if "$ref" in schema:
        target = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        found += problems(document, target, value, where)
    if "enum" in schema and value not in schema["enum"]:
        found.append("%s: %r is none of %r" % (where, value, schema["enum"]))
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append("%s: %r does not match %s" % (where, value, schema["pattern"]))
    if "minimum" in schema and value < schema["minimum"] or "maximum" in schema and value > schema["maximum"]:
        found.append("%s: %r is out of bounds" % (where, value))
    if isinstance(value, dict):
        found += problems_of_object(document, schema, value, where)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append("%s has %d items" % (where, len(value)))
        for i, item in enumerate(value):
            found += problems(document, schema["items"], item, "%s[%d]" % (where, i))
    return found


def problems_of_object(document, schema, value, where):
    properties = schema.get("properties", {})
    found = ["%s lacks %s" % (where, key) for key in schema.get("required", ()) if key not in value]
    for key, inner in value.items():
        if key in properties:
            found += problems(document, properties[key], inner, "%s.%s" % (where, key))
        elif schema.get("additionalProperties", True) is False:
            found.append("%s.%s is not documented" % (where, key))
    return found


def path_of(document, path):
    """The documented path that this one is of."""
    for template in document["paths"]:
        if re.fullmatch(re.sub(r"\{[a-z]+\}", "[^/]+", template), path):
            return template
    return None


def judge(document, method, path, status, answer):
    """What is wrong with this answer to this question."""
    template = path_of(document, path.split("?")[0])
    operation = document["paths"].get(template, {}).get(method.lower())
    if operation is None:
        return ["%s %s is not documented" % (method, path)]
    response = operation["responses"].get(str(status))
    if response is None:
        return ["%s %s: status %d is not documented: %r" % (method, path, status, answer)]
    return problems(document, response["content"]["application/json"]["schema"], answer, "%s %s" % (method, path))
