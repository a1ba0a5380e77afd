"""What the page's API answers, as OpenAPI has it: tests hold the page to that."""

from typing import Any

from partitioned_buffer.dashboard.files import files
from partitioned_buffer.dashboard.states import WORDS

Schema = dict[str, Any]

TEXT, NUMBER, COUNT = {"type": "string"}, {"type": "number"}, {"type": "integer", "minimum": 0}
YES_OR_NO = {"type": "boolean"}


def some(schema: Schema) -> Schema:
    """Return that it may be missing."""
    return {"anyOf": [schema, {"type": "null"}]}


def exactly(**properties: Schema) -> Schema:
    """Return an object with all of these, and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def also(schema: Schema, **optional: Schema) -> Schema:
    """Return *schema* with what need not be there."""
    return {**schema, "properties": schema["properties"] | optional}


def of_each(words: str, schema: Schema) -> dict[str, Schema]:
    return dict.fromkeys(words.split(), schema)


COUNTS = of_each(
    "accepted recovered delivered dead_lettered dropped coalesced deleted waiting in_flight held "
    "restarts overdue batches calls failed_calls",
    COUNT,
)
NUMBERS: dict[str, Schema] = {
    **COUNTS,
    **of_each("oldest_age last_success retry_in p50 p99 longest", some(NUMBER)),
    "balanced": {"const": True},
    "drop_reasons": {"type": "object", "additionalProperties": COUNT},
    "durations": exactly(
        count=COUNT, seconds=NUMBER, counts={"type": "object", "additionalProperties": COUNT}
    ),
    "last_failure": some(exactly(time=NUMBER, type=TEXT, message=TEXT)),
    "rates": exactly(**of_each("in_10s out_10s failed_10s in_60s out_60s failed_60s", NUMBER)),
}
WHOLE: dict[str, Schema] = {
    **NUMBERS,
    **of_each("hook_errors dead_letter_errors blocked", COUNT),
    "shared": {"type": "null"},
}
PARTS = {"type": "array", "minItems": 1, "items": exactly(**NUMBERS, partition=COUNT)}
STATE = {"enum": list(WORDS)}
BUFFER: dict[str, Schema] = {
    "name": {"type": "string", "minLength": 1},
    "kind": {"enum": ["Queue", "Map"]},
    "when_full": {"enum": ["block", "raise", "drop_newest", "drop_oldest"]},
    "state": STATE,
    "states": {"type": "array", "minItems": 1, "uniqueItems": True, "items": STATE},
    **of_each("storage where", some(TEXT)),
    **of_each("max_size max_bytes", some(COUNT)),
    **of_each("batch_size partitions", {"type": "integer", "minimum": 1}),
    **of_each("interval timeout", NUMBER),
    **of_each("tasks delivers dead_letter running", YES_OR_NO),
}
LETTER = also(
    exactly(time=some(NUMBER), error=TEXT, attempts=COUNT, count=COUNT),
    partition=COUNT,
    items={"type": "array", "items": TEXT},
)
REPLAY = exactly(given_back=COUNT, is_over=YES_OR_NO, error=some(TEXT))
ABOUT: dict[str, Schema] = {
    "format": {"const": 1},
    "at": NUMBER,
    "process": exactly(pid=COUNT, host=TEXT, started=NUMBER),
    "actions": YES_OR_NO,
}
OVERVIEW = exactly(
    **ABOUT,
    took=NUMBER,
    buffers={"type": "array", "items": exactly(**BUFFER, stats=exactly(**WHOLE))},
)
ONE = exactly(
    **ABOUT,
    buffer=also(
        exactly(**BUFFER, stats=exactly(**WHOLE, partitions=PARTS)),
        dead_letters={"type": "array", "maxItems": 20, "items": LETTER},
        dead_letters_error=TEXT,
        replay=REPLAY,
    ),
)
FLUSHED = exactly(format={"const": 1}, flushed=YES_OR_NO, held=COUNT)
REPLAYED = exactly(format={"const": 1}, replay=REPLAY)
REFUSED = exactly(format={"const": 1}, error={"type": "string", "minLength": 1})

GUARDING: dict[str, Schema] = {
    "Content-Security-Policy": {
        "type": "string",
        "pattern": "^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'",
    },
    "X-Content-Type-Options": {"const": "nosniff"},
    "X-Frame-Options": {"const": "DENY"},
    "Referrer-Policy": {"const": "no-referrer"},
    "Cross-Origin-Opener-Policy": {"const": "same-origin"},
    "Cross-Origin-Resource-Policy": {"const": "same-origin"},
}
HOST = "page.example"
"""What the page is asked for by."""

# --- who may ask for what ----------------------------------------------------------------------


def sent(**headers: Schema) -> Schema:
    """Return headers that are there, those of each answer among them."""
    given = {name.replace("_", "-"): schema for name, schema in headers.items()}
    return {
        name: {"required": True, "schema": schema} for name, schema in (GUARDING | given).items()
    }


def told(schema: Schema, **headers: Schema) -> Schema:
    return {
        "description": "JSON, which nobody keeps",
        "headers": sent(Cache_Control={"const": "no-store"}, **headers),
        "content": {"application/json": {"schema": schema}},
    }


def refused(*statuses: int) -> Schema:
    also = {401: {"WWW_Authenticate": {"const": "Bearer"}}}
    return {str(status): told(REFUSED, **also.get(status, {})) for status in statuses}


def given(where: str, name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"in": where, "name": name, "required": required, "schema": schema}


def read(schema: Schema, *statuses: int, parameters: tuple[Schema, ...] = ()) -> Schema:
    responses = {"200": told(schema), **refused(*statuses)}
    return {"get": {"parameters": [*parameters], "responses": responses}}


def acted(name: Schema, answers: Schema) -> Schema:
    """Return what takes the name of a buffer, from this very site."""
    body = {"type": "object", "properties": {"name": name}, "required": ["name"]}
    mark = given("header", "X-Partitioned-Buffer", TEXT, required=True)
    others = [
        # Any, since where it matters not, a browser has said that it is from here.
        given("header", "Origin", TEXT | {"examples": [f"http://{HOST}", "http://evil.example"]}),
        given("header", "Sec-Fetch-Site", {"enum": ["same-origin", "cross-site", "none"]}),
    ]
    return {
        "post": {
            "parameters": [mark, *others],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": answers | refused(400, 403, 404, 409, 413, 415),
        }
    }


def file(*kinds: str, missing: bool = False) -> Schema:
    """Return what answers with a file, and where nothing is *missing* with no refusal."""
    tag = {"type": "string", "pattern": '^W/"[0-9a-f]{16}"$'}
    headers = sent(ETag=tag, Cache_Control={"const": "no-cache"})
    responses: Schema = {
        "200": {
            "description": "the file",
            "headers": headers,
            "content": {kind: {"schema": TEXT} for kind in kinds},
        },
        "304": {"description": "the one that is there", "headers": headers},
    }
    if missing:
        responses |= refused(404)
    return {"get": {"parameters": [given("header", "If-None-Match", TEXT)], "responses": responses}}


def description(names: list[str], *, token: bool) -> Schema:
    """Return the whole, of a page with buffers of these names; *token*: of one that takes one."""
    name = {"type": "string", "enum": names}
    buffer = given("query", "name", name, required=True)
    api = {
        "/api/buffers": read(OVERVIEW),
        "/api/buffer": read(ONE, 400, 404, parameters=(buffer,)),
        "/api/flush": acted(name, {"200": told(FLUSHED)}),
        "/api/replay": acted(name, {"202": told(REPLAYED)}),
    }
    if token:
        for each in (act for acts in api.values() for act in acts.values()):
            each["security"] = [{"token": []}]
            each["responses"] |= refused(401)
    kinds = {each: kind for each, (kind, _, _) in files().items()}
    one_of_each = {kind: each for each, kind in kinds.items()}
    any_path = file(*sorted(set(kinds.values())), missing=True)
    any_path["get"]["parameters"].append(given("path", "path", TEXT, required=True))
    return {
        "openapi": "3.1.0",
        "info": {"title": "The page of the buffers", "version": "1"},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            **api,
            "/": file(kinds["index.html"]),
            **{f"/{each}": file(kind) for kind, each in one_of_each.items()},
            "/{path}": any_path,
        },
    }
