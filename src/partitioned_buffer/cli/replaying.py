"""`replay`: gives what was given up, and is kept in a file, back into a buffer of the program."""

import argparse
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

from .. import Map, Queue
from ..errors import InvalidOption
from ..storage import SQLite
from ..storage.look import look, open_as_made
from ..storage.records import Codec
from ..storage.sqlite.journal import Journal
from .codecs import codec_named
from .draining import add_codec, from_1
from .giving import Giving
from .names import typed
from .progress import Progress
from .text import printable

ABOUT = (
    "Give what was given up, and is kept in the file of a durable buffer, back into a buffer of "
    "the program: to that of the same file, or another. It is started if it does not run. Each is "
    "forgotten when it is settled, so who ends this in the middle goes on with the next replay; "
    "what is given up again is kept again. Exits with 0 when all was given back, else with 1."
)


def add(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser("replay", help="give back what was given up", description=ABOUT)
    parser.add_argument("path", metavar="PATH", help="the file of a buffer")
    parser.add_argument(
        "--into",
        metavar="MODULE:BUFFER",
        required=True,
        help="the buffer that gets it, as in shop.events:queue",
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
        limit = min(arguments.limit or total, total)
        giving = Giving(buffer, journal, codec, limit)
        try:
            with Progress(buffer.name, limit, lambda: giving.settled, "given back"):
                giving.give(takewhile(lambda each: each.id <= newest, journal.buried()))
        except KeyboardInterrupt:
            sys.stderr.write("Ending: what is not settled stays, and comes again.\n")
        _, kept = _what_is_there(journal)  # with what was given up again
    sys.stdout.write(_said(giving, kept, arguments.path))
    return 0 if giving.settled >= limit else 1


def _buffer(name: str) -> Any:
    found = typed("--into", name)
    if not isinstance(found, Queue | Map):
        raise InvalidOption(
            f"--into {name}: it is of type {type(found).__name__}: expected a Queue or a Map, "
            "which are for threads"
        )
    return found


@contextmanager
def _opened(
    arguments: argparse.Namespace, buffer: Any
) -> Generator[tuple[Journal, Codec], None, None]:
    """Have the buffer run, and the journal open: its own, if that is the file."""
    storage, real = buffer._settings.storage, os.path.realpath(arguments.path)
    if isinstance(storage, SQLite) and os.path.realpath(storage.path) == real:
        if not buffer.running:
            look(real)  # a start would make it if it were not there
        with _running(buffer):
            yield buffer._admission.backing.store.journal, storage.codec
        return
    terms = look(real)
    if not isinstance(buffer, Map if terms.kind == "Map" else Queue):
        raise InvalidOption(
            f"--into {arguments.into}: {buffer!r}: expected a {terms.kind}, as {real} is one's"
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


def _said(giving: Giving, kept: int, path: str) -> str:
    lines = [f"{giving.settled:,} given back, {kept:,} kept in {path}."]
    if giving.refused:
        lines += ["These stay:", *map(printable, giving.refused)]
    return "\n".join(lines) + "\n"
