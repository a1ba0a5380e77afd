"""`drain`: delivers what a file holds, without the program that wrote it."""

import argparse
import inspect
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from .. import Map, Queue, Stats
from ..errors import InvalidOption, RetryAfter
from ..storage import SQLite
from ..storage.look import Terms, look
from ..storage.records import Codec
from .codecs import codec_named
from .names import typed
from .progress import Progress

_log = logging.getLogger("partitioned_buffer")

TURN = 0.05
"""Seconds from one look whether all is delivered to the next."""

GRACE = 10.0
"""Seconds that calls of the processor have to return after Ctrl-C."""


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    calls = _Calls(typed("--processor", arguments.processor))
    terms = look(arguments.path)
    _check_kind(terms, arguments.map)
    options = {"processing_batch_size": arguments.batch_size}
    if arguments.merge is not None:
        if terms.kind != "Map":
            raise InvalidOption("--merge: expected --map with it, and a Map's file")
        options["merge"] = typed("--merge", arguments.merge)
    codec = codec_named(terms.codec, given=arguments.codec, allow_pickle=arguments.allow_pickle)
    with _ends_at_sigterm():
        stats = _drained(_made(terms, codec, calls, options), calls)
    sys.stdout.write(_in_json(stats, terms.path) if arguments.json else _said(stats, terms.path))
    return 1 if stats.held or stats.dead_lettered or stats.dropped else 0


def _check_kind(terms: Terms, is_map: bool) -> None:
    expected = "Map" if is_map else "Queue"
    if terms.kind != expected:
        how = "leave --map out" if is_map else "say --map, and expect entries in the processor"
        raise InvalidOption(f"{terms.path} is a {terms.kind}'s, not a {expected}'s: {how}")


class _Over(RetryAfter):
    """No call is begun any more, which is no failure: the log does not tell of it."""


def _is_told(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], _Over))


class _Calls:
    """Calls the processor, until it is told to end: from then on, what is asked of it stays."""

    def __init__(self, processor: Any) -> None:
        if not callable(processor) or inspect.iscoroutinefunction(processor):
            raise InvalidOption(
                f"--processor: it is {processor!r}: expected a plain function that takes a batch; "
                "one that is awaited can be called by asyncio.run() in such a function"
            )
        self._processor = processor
        self._changed = threading.Condition()
        self._running, self._is_over = 0, False

    def __call__(self, batch: Any) -> object:
        with self._changed:
            if self._is_over:
                raise _Over(GRACE)
            self._running += 1
        try:
            return self._processor(batch)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def end(self) -> None:
        """Begin no call any more, and give those that have begun time to return."""
        with self._changed:
            self._is_over = True
            self._changed.wait_for(lambda: not self._running, GRACE)


def _made(terms: Terms, codec: Codec, calls: _Calls, options: dict[str, Any]) -> Any:
    kind: Any = Map if terms.kind == "Map" else Queue

    return kind(
        "drain",
        calls,
        storage=SQLite(terms.path, codec=codec),
        partitions=terms.partitions,
        processing_interval=TURN,
        **options,
    )


@contextmanager
def _ends_at_sigterm() -> Generator[None, None, None]:
    """Take SIGTERM for Ctrl-C, as who runs this in a container, or with a time limit, means it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _drained(buffer: Any, calls: _Calls) -> Stats:
    buffer.start()
    total = buffer.size()
    try:
        with Progress(buffer.name, total, lambda: buffer.stats().delivered, "delivered"):
            while buffer.size():
                time.sleep(TURN)
    except KeyboardInterrupt:
        sys.stderr.write("Ending: calls of the processor that have begun may return.\n")
    finally:
        _end(buffer, calls)
    stats: Stats = buffer.stats()
    return stats


def _end(buffer: Any, calls: _Calls) -> None:
    _log.addFilter(_is_told)
    try:
        calls.end()
    finally:  # also if somebody is in a hurry
        _log.disabled = True  # what is left is said once, by us
        try:
            buffer.stop(timeout=1.0)
        finally:
            _log.disabled = False
            _log.removeFilter(_is_told)


def _in_json(stats: Stats, path: str) -> str:
    said = {
        "path": path,
        "delivered": stats.delivered,
        "held": stats.held,
        "given_up": stats.dead_lettered,
        "dropped": dict(stats.drop_reasons),
    }
    return json.dumps(said) + "\n"


def _said(stats: Stats, path: str) -> str:
    """Return what became of it, for people."""
    lines = [f"{stats.delivered:,} delivered, {stats.held:,} left in {path}."]
    if stats.dead_lettered:
        lines.append(
            f"{stats.dead_lettered:,} were given up, and are kept in the file: `partitioned-buffer "
            "replay` gives them to a buffer again."
        )
    if stats.dropped:
        reasons = ", ".join(f"{why}: {count:,}" for why, count in stats.drop_reasons.items())
        lines.append(f"{stats.dropped:,} could not be read ({reasons}).")
    return "\n".join(lines) + "\n"
