"""The API's description as a judge: whatever the tests see a gateway answer must be described, and what is described must be seen.

    judge = Description.load()
    judge.see("GET", "/v1/captures?limit=1", reply)      raises AssertionError on what is not described
    judge.seen                                           names of operations, statuses and fields; written down for described.py
"""
import functools
import json
import pathlib
import re

import jsonschema
import yaml

PATH = pathlib.Path(__file__).resolve().parents[3] / "schema" / "openapi.yaml"
METHODS = ("get", "put", "post", "delete")
# What the server says before it knows of any path: a request that is no HTTP, too long, too slow, or one too many.
BEFORE_ANY_PATH = {400, 405, 408, 411, 413, 414, 415, 417, 431, 500, 501, 503, 505}


class Description:
    def __init__(self, doc):
        self.doc, self.seen = doc, set()
        self.operations = {}  # (method, template): operation
        self._patterns = []
        for template, item in doc["paths"].items():
            pattern = re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template)) + r"\Z")
            self._patterns.append((pattern, template, item))
            for method in METHODS:
                if method in item:
                    self.operations[method.upper(), template] = item[method]
        self._patterns.sort(key=lambda p: "{" in p[1])
        self._validators = {}

    @classmethod
    @functools.lru_cache(maxsize=1)
    def load(cls):
        return cls(yaml.safe_load(PATH.read_text()))

    # ---- the document ----

    def resolve(self, node):
        while "$ref" in node:
            at = self.doc
            for key in node["$ref"].removeprefix("#/").split("/"):
                at = at[key]
            node = at
        return node

    @staticmethod
    def _status(name, status, response):
        """What many operations answer alike has to be seen of one of them."""
        return f"status {response.get('$ref') or f'{name} {status}'}"

    def template(self, path):
        """The described path that this one is of, and its item; (None, None): it is of none."""
        for pattern, template, item in self._patterns:
            if pattern.match(path.partition("?")[0]):
                return template, item
        return None, None

    def schema(self, node, closed=True):
        """As JSON Schema; closed: objects have no other properties than those described."""
        node = self.resolve(node)
        out = {k: v for k, v in node.items() if k in ("type", "enum", "minimum", "maximum", "minLength", "maxLength", "required", "pattern", "maxItems", "minItems")}
        if "enum" in out:
            out.pop("type", None)
        if "properties" in node:
            out["properties"] = {k: self.schema(v) for k, v in node["properties"].items()}
        if "items" in node:
            out["items"] = self.schema(node["items"])
        for key in ("allOf", "oneOf", "anyOf"):
            if key in node:
                out[key] = [self.schema(v, closed=key != "allOf") for v in node[key]]
        extra = node.get("additionalProperties")
        if isinstance(extra, dict):
            out["additionalProperties"] = self.schema(extra)
        elif closed and extra is not True and ("properties" in node or "allOf" in node):
            out["unevaluatedProperties"] = False
        if node.get("nullable") and None not in node.get("enum", ()):
            out = {"anyOf": [out, {"type": "null"}]}
        return out

    def _validate(self, name, node, value):
        if name not in self._validators:
            self._validators[name] = jsonschema.Draft202012Validator(self.schema(node))
        error = jsonschema.exceptions.best_match(self._validators[name].iter_errors(value))
        assert not error, f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}\nin {json.dumps(value)[:1500]}"

    def _mark(self, name, node, value):
        """Each described field that value has."""
        node = self.resolve(node)
        for key in ("allOf", "oneOf", "anyOf"):
            for n, one in enumerate(node.get(key, ())):
                if key == "allOf" or jsonschema.Draft202012Validator(self.schema(one)).is_valid(value):
                    self._mark(name if "$ref" not in one else one["$ref"], one, value)
        if isinstance(value, dict):
            for k, sub in node.get("properties", {}).items():
                if k in value:
                    self.seen.add(f"field {name}.{k}")
                    self._mark(sub.get("$ref", f"{name}.{k}"), sub, value[k])
            if isinstance(node.get("additionalProperties"), dict):
                for v in value.values():
                    self._mark(f"{name}.*", node["additionalProperties"], v)
        if isinstance(value, list) and "items" in node:
            for v in value[:50]:
                self._mark(node["items"].get("$ref", f"{name}[]"), node["items"], v)

    # ---- what is seen ----

    def see(self, method, path, status, headers, body, sent=None):
        """One exchange.  body None: it was not read; sent: the request's body, an object, or None."""
        template, item = self.template(path)
        if not template:
            assert status in (404, 405) or status in BEFORE_ANY_PATH, f"{method} {path}: not described, and answered with {status}"
            return
        operation = item.get("get" if method == "HEAD" else method.lower())
        if not operation:
            assert status in (404, 405) or status in BEFORE_ANY_PATH, f"{method} {template}: not described, and answered with {status}"
            return
        name = f"{method} {template}"
        response = operation["responses"].get(str(status))
        assert response or status in BEFORE_ANY_PATH, f"{name}: {status} is not described"
        if not response:
            return
        if method == "HEAD":
            return
        self.seen.update({f"operation {name}", self._status(name, status, response)})
        if sent is not None and 200 <= status < 300 and "requestBody" in operation:
            media = self.resolve(operation["requestBody"])["content"]["application/json"]
            self._validate(f"request of {name}", media["schema"], sent)
            self._mark(f"request of {name}" if "$ref" not in media["schema"] else media["schema"]["$ref"], media["schema"], sent)
        self._see_body(f"{name} {status}", self.resolve(response), headers, body)

    def _see_body(self, name, response, headers, body):
        kind = headers.get("content-type", "").partition(";")[0]
        content = response.get("content")
        if not content:
            assert not body, f"{name}: a body where none is described: {body[:200]!r}"
            return
        if not body:
            return
        assert kind in content, f"{name}: {kind or 'no Content-Type'} where {', '.join(content)} is described"
        media = content[kind].get("schema", {})
        if kind == "application/json":
            values = [json.loads(body)]
        elif kind == "application/x-ndjson":
            values = [json.loads(line) for line in body.splitlines(keepends=True) if line.endswith(b"\n") and line.strip()]
        else:
            return
        for value in values:
            self._validate(name, media, value)
            self._mark(media.get("$ref", name), media, value)

    # ---- what there is to see ----

    def described(self):
        """All names that seen can have."""
        out, walked = set(), set()

        def walk(name, node):
            if name in walked:
                return
            walked.add(name)
            node = self.resolve(node)
            for key in ("allOf", "oneOf", "anyOf"):
                for one in node.get(key, ()):
                    walk(name if "$ref" not in one else one["$ref"], one) if "$ref" in one else walk_in(name, one)
            walk_in(name, node)

        def walk_in(name, node):
            for k, sub in node.get("properties", {}).items():
                out.add(f"field {name}.{k}")
                walk(sub.get("$ref", f"{name}.{k}"), sub)
            if "items" in node:
                walk(node["items"].get("$ref", f"{name}[]"), node["items"])
            if isinstance(node.get("additionalProperties"), dict):
                walk(f"{name}.*", node["additionalProperties"])

        for (method, template), operation in self.operations.items():
            name = f"{method} {template}"
            out.add(f"operation {name}")
            if "requestBody" in operation:
                media = self.resolve(operation["requestBody"])["content"].get("application/json")
                if media:
                    walk(media["schema"].get("$ref", f"request of {name}"), media["schema"])
            for status, response in operation["responses"].items():
                out.add(self._status(name, status, response))
                for media in self.resolve(response).get("content", {}).values():
                    walk(media.get("schema", {}).get("$ref", f"{name} {status}"), media.get("schema", {}))
        return out
