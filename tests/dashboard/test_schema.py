"""The page keeps to a description of it, whatever is asked, and whatever its buffers are called."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from helpers import ROUNDS, rounds, wait_until
from hypothesis import HealthCheck, given, settings
from openapi import HOST, description
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.openapi import from_dict

from partitioned_buffer import Map, Queue, Retry
from partitioned_buffer.dashboard import asgi, wsgi
from partitioned_buffer.dashboard.files import files
from partitioned_buffer.dashboard.over_wsgi import Wsgi
from partitioned_buffer.dead_letters import DeadLetterFile
from partitioned_buffer.storage import SQLite
from partitioned_buffer.testing import assert_balanced

MARKUP = "</script><script>alert(1)</script>"
NAMES = [
    MARKUP,
    "events",
    'quoted "twice" \\n\\',
    "lines\r\nSet-Cookie: a=b\n",
    "a&name=b;c=%2F..%00+d?#",
    "\u202eright to left\u2066\u200f",
    "\u2028\u2029\0\x7f\ufeff\uffff",
    "1e5",
    "null",
    " ",
    "long " * 1900,  # what takes more than 10,000 bytes cannot be acted on
]
HALF = "half \ud800"
"""It runs, and is not asked for by clients of HTTP, which take text that has bytes in UTF-8."""
TOKEN = "0123456789abcdef"
AS_LUCK_HAS_IT = settings(
    max_examples=rounds(40, least=5),
    derandomize=ROUNDS < 1,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TAKE = {"/api/buffer", "/api/flush", "/api/replay"}
"""What takes a name, without which it refuses."""
CONFIG = {
    "generation": {"with-security-parameters": False},  # the token is ours to send
    "checks": {
        "negative_data_rejection": {
            "expected-statuses": ["400", "401", "403", "404", "413", "415"]
        },
        "positive_data_acceptance": {  # 413: a body may be longer than 10,000 bytes
            "expected-statuses": ["2xx", "3xx", "401", "403", "404", "409", "413", "429", "5xx"]
        },
    },
}
PAGES: dict[str, dict[str, Any]] = {
    "shows": {},
    "acts": {"actions": True, "messages": True, "show_item": str},
    "takes a token": {"actions": True, "token": TOKEN},
}


def refuse(_batch: object) -> None:
    raise ValueError(MARKUP)


def made(number: int, name: str, folder: Path) -> Any:
    """Return a buffer that has given up what it held: into a file, in its storage, or nowhere."""
    ways: list[dict[str, Any]] = [
        {"dead_letter": DeadLetterFile(folder / f"{number}.jsonl")},
        {"storage": SQLite(folder / f"{number}.db")},
        {"max_size": 1000, "when_full": "drop_newest"},
    ]
    keeps = ways[number % 3]
    options: Any = {"partitions": 2, "processing_interval": 3600.0, "retry": Retry(attempts=1)}
    if number % 2:
        return Queue(name, refuse, **options, **keeps)
    return Map(name, refuse, **options, **keeps)


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("letters")
    buffers = [made(number, name, folder) for number, name in enumerate([*NAMES, HALF])]
    with ExitStack() as ends:
        for buffer in buffers:
            ends.enter_context(buffer)
            for item in MARKUP, "another":
                buffer.push(item) if isinstance(buffer, Queue) else buffer.put(item, item)
            buffer.flush()
        yield
    for buffer in buffers:
        stats = buffer.stats()
        assert_balanced(stats)
        assert stats.accepted == stats.dead_lettered >= 2


def described(over: Any, page: str) -> Any:
    """Return the page with its description; none of its answers to WSGI's client are compressed."""
    said = description(NAMES, token="token" in PAGES[page])
    schema = from_dict(said, config=SchemathesisConfig.from_dict(CONFIG))
    schema.app = over(**PAGES[page])
    return schema


def asked(schema: Any, case: Any) -> Any:
    """Ask, and hold the answer against the description; return it."""
    page = schema.app._page
    headers = {"Host": HOST, "Authorization": f"Bearer {TOKEN}"}
    if isinstance(schema.app, Wsgi):
        headers["Accept-Encoding"] = "identity"  # its client would not decompress
    answer = case.call_and_validate(headers=headers)
    if answer.headers.get("content-type", [""])[0].startswith("text/html"):
        assert answer.content == files()["index.html"][2]
    for replay in page._here().actions._replays.values():
        wait_until(lambda: replay.is_over)
    return answer


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("over", [asgi, wsgi])
def test_all_answers_are_as_described(over: Any, page: str, mode: GenerationMode) -> None:
    schema, seen = described(over, page), set[str]()
    operations = [each.ok() for each in schema.get_all_operations()]
    if mode is GenerationMode.NEGATIVE:  # of the rest nothing can be asked wrongly
        operations = [each for each in operations if each.path in TAKE]
    for operation in operations:

        @AS_LUCK_HAS_IT
        @given(operation.as_strategy(mode))
        def ask_it(case: Any) -> None:
            asked(schema, case)
            seen.add(case.operation.path)

        ask_it()
    assert seen == {each.path for each in operations} >= TAKE


@pytest.mark.parametrize("over", [asgi, wsgi])
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_each_name_is_told_of_and_acted_on(over: Any, name: str) -> None:
    schema = described(over, "acts")
    one = schema["/api/buffer"]["GET"].Case(query={"name": name})
    assert json.loads(asked(schema, one).content)["buffer"]["name"] == name
    acts = [
        schema[f"/api/{act}"]["POST"].Case(
            body={"name": name},
            media_type="application/json",
            headers={"X-Partitioned-Buffer": "1"},
        )
        for act in ("flush", "replay")
    ]
    assert [asked(schema, act).status_code for act in acts] in ([200, 202], [200, 409])
