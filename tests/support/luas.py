"""What runs on the server, asked in its own words; and broken in every small way."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from partitioned_buffer.storage.redis.scripts import NAMES, SOURCES

KEYS = {
    "append": "w at meta d",
    "beat": "workers",
    "bury": "lease meta dead",
    "claim": "lease meta",
    "forget": "dead meta",
    "last": "dead meta",
    "map_append": "w r v0 v1 meta gone d",
    "map_deal": "meta w",
    "map_get": "w r meta d",
    "map_leave": "meta w r v0 v1 gone",
    "map_open": "meta w r",
    "map_step": "lease meta w r v0 v1 gone",
    "pin": "config",
    "release": "lease",
    "seal": "meta",
    "step": "lease meta w at",
    "turn": "config",
}


class Scripts:
    """Runs scripts on keys of its own; those *broken* as they are there."""

    def __init__(self, client: Any, broken: dict[str, str] | None = None) -> None:
        self._client = client
        self._sources = {name: source.decode() for name, source in SOURCES.items()}
        self._sources |= broken or {}

    def __enter__(self) -> Self:
        for name in {key for keys in KEYS.values() for key in keys.split()}:
            self._client.delete(f"{{t}}:{name}")
        self.news = self._client.pubsub(ignore_subscribe_messages=True)
        self.news.subscribe("{t}:news")
        self.news.get_message(timeout=1)
        return self

    def __exit__(self, *_: object) -> None:
        self.news.close()

    def __call__(self, name: str, *args: Any) -> Any:
        keys = [f"{{t}}:{key}" for key in KEYS[name].split()]
        return self._client.eval(self._sources[name], len(keys), *keys, *args)

    def do(self, command: str, key: str, *args: Any) -> Any:
        return self._client.execute_command(command, f"{{t}}:{key}", *args)

    def claim(self, worker: str = "me") -> str:
        return f"{self('claim', worker, 9999)}|{worker}"

    def heard(self) -> Any:
        message = self.news.get_message(timeout=0.005)
        return message and message["data"]


def survivors(
    scripts: type[Scripts],
    client: Any,
    name: str,
    cases: Sequence[Callable[[Any], None]],
    same: Sequence[str],
) -> list[str]:
    """Return what was done to a script that no case noticed."""
    found = []
    for what, source in broken(name, same):
        for case in cases:
            try:
                with scripts(client, {name: source}) as do:
                    case(do)
            except Exception:
                break
        else:
            found.append(what)
    return found


# What is broken there is counted by a test of its own.
COUNTED = [
    *((name, "redis.error_reply('ERR") for name in NAMES),
    ("turn", "if #KEYS"),
    ("map_append", "if #KEYS"),
]


def broken(name: str, same: Sequence[str]) -> Iterator[tuple[str, str]]:
    """
    Yield what was done to a script, and the script: a condition, answer or write at a time.

    Lines with any of *same* are left as they are.
    """
    lines = SOURCES[name].decode().splitlines()
    same = [*same, *(part for of, part in COUNTED if of == name)]
    for number, line in enumerate(lines):
        code = line.partition("--")[0]
        if any(part in line for part in same) or not code.strip():
            continue
        for other in ways(code):
            changed = [*lines[:number], other, *lines[number + 1 :]]
            yield f"{number + 1}: {other.strip()}", bounded("\n".join(changed))


def bounded(source: str) -> str:
    """Return *source* with loops that end: a server that loops answers nobody."""
    first, _, rest = source.partition("\n")
    turn = "local turns = 0; local function turn() turns = turns + 1; assert(turns < 49999) end"
    return f"{first}\n{turn}\n" + re.sub(r"\bdo\b", "do turn()", rest)


def ways(code: str) -> Iterator[str]:
    if match := re.search(r"\b(if|elseif|while) (.*?) (then|do)\b", code):
        for condition in ("false",) if match[1] == "while" else ("true", "false"):
            yield code[: match.start(2)] + condition + code[match.end(2) :]
    for old, new in (("<=", "<"), (">=", ">"), (" < ", " <= "), (" > ", " >= "), ("and", "or")):
        for match in re.finditer(rf"(?<![\w=]){re.escape(old)}(?![\w=])", code):
            yield code[: match.start()] + new + code[match.end() :]
    if match := re.search(r"\breturn (.*?)(?= end$|$)", code.rstrip()):
        yield code[: match.start(1)] + "'?'" + code.rstrip()[match.end(1) :]
    if re.match(r"\s*(redis\.call|in_pieces|settle)\(", code) and code.count("(") == code.count(
        ")"
    ):
        yield "local _"
