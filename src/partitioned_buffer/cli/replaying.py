"""`replay`: gives what was given up, and is kept in a file, back into a buffer of the program."""

import argparse
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from .. import Map, Queue
from ..errors import BufferFull, InvalidOption, StorageError, Undecodable
from ..storage import SQLite
from ..storage.look import look, open_as_made
from ..storage.records import Codec
from ..storage.sqlite.dead import Buried
from ..storage.sqlite.journal import Journal
from .codecs import codec_named
from .draining import add_codec, from_1
from .names import typed
from .progress import Progress

ABOUT = (
    "Give what was given up, and is kept in the file of a durable buffer, back into a buffer of "
    "the program: to that of the same file, or another. It is started if it does not run. Each is "
    "forgotten when it is settled, so who ends this in the middle goes on with the next replay; "
    "what is given up again is kept again. Exits with 0 when all was given back, else with 1."
)
PART = 1000
"""How many items are given to a buffer before it is flushed, and they are forgotten."""


def add(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser("replay", help="give back what was given up", description=ABOUT)
    parser.add_argument("path", metavar="PATH", help="the file of a buffer")
    parser.add_argument(
        "--into",
        metavar="MODULE:BUFFER",
        required=True,
        help="the Queue that gets the items, as in shop.events:queue",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=from_1,
        help="stop after so many items, or the few more that were given up together with them",
    )
    add_codec(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    buffer = _buffer(arguments.into)
    with _opened(arguments, buffer) as (journal, codec):
        newest, total = _what_is_there(journal)
        limit = arguments.limit or total
        replay = _Replay(buffer, journal, codec, limit)
        try:
            with Progress(buffer.name, min(limit, total), lambda: replay.settled, "given back"):
                replay.give(takewhile(lambda each: each.id <= newest, journal.buried()))
        except KeyboardInterrupt:
            sys.stderr.write("Ending: what is not settled stays, and comes again.\n")
        left = total - replay.settled
    sys.stdout.write(_said(replay, left, arguments.path))
    return 1 if left and replay.settled < limit else 0


def _buffer(name: str) -> Any:
    found = typed("--into", name)
    if not isinstance(found, Queue | Map):
        raise InvalidOption(
            f"--into {name}: it is a {type(found).__name__}: expected a Queue or a Map, which are "
            "for threads"
        )
    return found


# --- what is given back, and where it is kept


@contextmanager
def _opened(
    arguments: argparse.Namespace, buffer: Any
) -> Generator[tuple[Journal, Codec], None, None]:
    """Have the buffer run, and the journal open: its own, if that is the file."""
    storage = buffer._settings.storage
    real = os.path.realpath(arguments.path)
    if isinstance(storage, SQLite) and os.path.realpath(storage.path) == real:
        if not buffer.running:
            look(real)  # a start would make it if it were not there
        with _running(buffer):
            yield buffer._admission.backing.store.journal, storage.codec
        return
    terms = look(real)
    if terms.kind != "Queue":
        raise StorageError(
            f"{real}: this version of partitioned-buffer cannot give back what a {terms.kind} has "
            "given up: expected a newer one"
        )
    codec = codec_named(terms.codec, given=arguments.codec, allow_pickle=arguments.allow_pickle)
    journal = open_as_made(terms)
    try:
        with _running(buffer):
            yield journal, codec
    finally:
        journal.close()


@contextmanager
def _running(buffer: Any) -> Generator[None, None, None]:
    """Start the buffer, unless it runs; stop it again if it was started."""
    starts = not buffer.running
    if starts:
        buffer.start()
    try:
        yield
    finally:
        if starts:
            buffer.stop(timeout=1.0)


def _what_is_there(journal: Journal) -> tuple[int, int]:
    """Return the id of the last that was given up, and how many items that are together."""
    newest = total = 0
    for each in journal.buried():
        newest, total = each.id, total + each.count
    return newest, total


@dataclass
class _Replay:
    """How far it has come."""

    buffer: Any
    journal: Journal
    codec: Codec
    limit: int
    given: int = 0
    settled: int = 0
    unread: list[str] = field(default_factory=list[str])
    _ids: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def give(self, those: Iterator[Buried]) -> None:
        """Give *those* to the buffer, part by part."""
        for each in those:
            if self.given >= self.limit:
                break
            try:
                items = self._items(each)
            except Undecodable as error:
                self.unread.append(f"{each.count} items of {each.id}: {error}")
                continue
            self._push(items)
            self.given += len(items)
            self._ids.append((each.id, len(items)))
            if self.given - self.settled >= PART:
                self._settle()
        self._settle()

    def _items(self, each: Buried) -> list[Any]:
        if each.data is None:
            raise Undecodable("they are damaged")
        return self.codec.decode(each.data, each.count)

    def _push(self, items: list[Any]) -> None:
        try:
            self.buffer.push_all(items)
        except BufferFull:
            if not self._ids:
                raise
            self._settle()  # which makes room
            self.buffer.push_all(items)

    def _settle(self) -> None:
        """Flush, and forget what has been given."""
        if not self._ids:
            return
        self.buffer.flush()
        while self._ids:
            which, count = self._ids[0]
            self.journal.forget_buried(which)
            self.settled += count
            del self._ids[0]


def _said(replay: _Replay, left: int, path: str) -> str:
    lines = [f"{replay.settled:,} given back, {left:,} left in {path}."]
    if replay.unread:
        lines += ["These stay, for they cannot be read:", *replay.unread]
    return "\n".join(lines) + "\n"
