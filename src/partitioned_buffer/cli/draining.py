"""`drain`: delivers what a file holds, without the program that wrote it."""

import argparse
import inspect
import logging
import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from .. import Map, Queue
from ..errors import InvalidOption, RetryAfter
from ..storage import SQLite
from ..storage.look import Terms, look
from ..storage.records import Codec
from .codecs import codec_named
from .names import typed
from .progress import Progress

ABOUT = (
    "Deliver all that the file of a durable buffer holds, by calling a processor with batches of "
    "it. What fails is tried again, for as long as it takes; Ctrl-C ends that, and leaves the "
    "rest in the file. Exits with 0 when all was delivered, with 1 when something is left or was "
    "given up."
)
_log = logging.getLogger("partitioned_buffer")

TURN = 0.05
"""Seconds from one look whether all is delivered to the next."""

GRACE = 10.0
"""Seconds that calls of the processor have to return after Ctrl-C."""


def add(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser("drain", help="deliver what a file holds", description=ABOUT)
    parser.add_argument("path", metavar="PATH", help="the file of a buffer")
    parser.add_argument(
        "--processor",
        metavar="MODULE:FUNCTION",
        required=True,
        help="what gets the batches, as in shop.events:store",
    )
    parser.add_argument(
        "--batch-size", metavar="N", type=from_1, default=10, help="items a batch (default: 10)"
    )
    parser.add_argument(
        "--map", action="store_true", help="the file is a Map's: the processor gets entries"
    )
    parser.add_argument(
        "--merge",
        metavar="MODULE:FUNCTION",
        help="the Map's merge=, if it has one: without it the last value of a key wins",
    )
    add_codec(parser)
    parser.set_defaults(run=run)


def add_codec(parser: Any) -> None:
    """Add what says how to read items."""
    parser.add_argument(
        "--codec",
        metavar="MODULE:NAME",
        help="the type, or the pair of functions, that reads the items, if it is not where the "
        "file says",
    )
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="read pickles, which run whatever they say: only if you trust who wrote the file",
    )


def from_1(text: str) -> int:
    """Return the number that was typed, for a parser."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)


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
        return _drain(_made(terms, codec, calls, options), calls, terms.path)


def _check_kind(terms: Terms, is_map: bool) -> None:
    expected = "Map" if is_map else "Queue"
    if terms.kind != expected:
        how = "leave --map out" if is_map else "say --map, and expect entries in the processor"
        raise InvalidOption(f"{terms.path} is a {terms.kind}'s, not a {expected}'s: {how}")


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
                raise RetryAfter(GRACE)
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


def _drain(buffer: Any, calls: _Calls, path: str) -> int:
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
    return _said(buffer.stats(), path)


def _end(buffer: Any, calls: _Calls) -> None:
    try:
        calls.end()
    finally:  # also if somebody is in a hurry
        _log.disabled = True  # what is left is said once, by us
        try:
            buffer.stop(timeout=1.0)
        finally:
            _log.disabled = False


def _said(stats: Any, path: str) -> int:
    """Say what became of it; return the exit code."""
    lines = [f"{stats.delivered:,} delivered, {stats.held:,} left in {path}."]
    if stats.dead_lettered:
        lines.append(
            f"{stats.dead_lettered:,} were given up, and are kept in the file: `partitioned-buffer "
            "replay` gives them to a buffer again."
        )
    if stats.dropped:
        reasons = ", ".join(f"{why}: {count:,}" for why, count in stats.drop_reasons.items())
        lines.append(f"{stats.dropped:,} could not be read ({reasons}).")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if stats.held or stats.dead_lettered or stats.dropped else 0
