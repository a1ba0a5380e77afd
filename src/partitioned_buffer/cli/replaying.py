"""`replay`: gives what was given up, and is kept, back into a buffer of the program."""

import argparse
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

from .. import Map, Queue
from .. import running as those_that_run
from ..dead_letters import DeadLetterFile, Replayed
from ..dead_letters.records import SETTLED
from ..dead_letters.replay import lines_to_come
from ..errors import InvalidOption, StorageError
from ..storage import SQLite
from ..storage.look import look, open_as_made
from ..storage.records import Codec
from ..storage.sqlite.journal import Journal
from .codecs import codec_named
from .giving import Giving, buffer_named, outcome, running
from .names import typed
from .progress import Progress
from .server import replaying
from .server.places import check_place, is_url


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    check_place(arguments)
    if is_url(arguments.path):
        return replaying.run(arguments)
    is_letters = _is_letters(arguments.path)
    buffer = buffer_named(arguments.into)
    if is_letters:
        return _replay_letters(arguments, buffer)
    with _opened(arguments, buffer) as (journal, codec):
        newest, total = _what_is_there(journal)
        limit = min(arguments.limit or total, total)
        giving = Giving(buffer, journal.forget_buried, codec, limit)
        try:
            with Progress(buffer.name, limit, lambda: giving.settled, "given back"):
                giving.give(takewhile(lambda each: each.id <= newest, journal.buried()))
        except KeyboardInterrupt:
            sys.stderr.write("Ending: what is not settled stays, and comes again.\n")
        _, kept = _what_is_there(journal)  # with what was given up again
    sys.stdout.write(
        outcome(giving.settled, giving.refused, kept, arguments.path, in_json=arguments.json)
    )
    return 0 if giving.settled >= limit else 1


# --- a dead letter file ------------------------------------------------------------------------


def _is_letters(path: str) -> bool:
    """
    Return whether a `DeadLetterFile` has written the file.

    One that a buffer of this process has open is not looked into: SQLite would lose its locks.
    """
    real = os.path.realpath(path)
    if any(
        real == os.path.realpath(getattr(_storage(each), "path", "")) for each in those_that_run()
    ):
        return False
    if Path(f"{path}.replaying").exists():
        return True
    try:
        with Path(path).open("rb") as file:
            return file.read(1) in (b"{", SETTLED)
    except OSError:
        return False


def _storage(buffer: Any) -> object:
    return buffer._settings.storage


def _replay_letters(arguments: argparse.Namespace, buffer: Any) -> int:
    handler = buffer._settings.dead_letter
    if handler is None and _storage(buffer) is None:
        raise InvalidOption(
            f"--into {arguments.into}: {buffer!r} keeps nothing that it gives up again: give it a "
            "dead_letter, or a storage"
        )
    if arguments.limit is not None:
        raise InvalidOption("--limit: a dead letter file is given back as a whole")
    letters, total = _letters(arguments, handler), _to_come(arguments.path)
    done = Replayed(0, 0)

    def note(replayed: Replayed) -> None:
        nonlocal done
        done = replayed

    try:
        with running(buffer), Progress(buffer.name, total, lambda: done.pushed, "given back"):
            done = letters.replay(buffer, progress=note)
    except KeyboardInterrupt:
        sys.stderr.write("Ending: what is not settled stays, and comes again.\n")
    except TypeError as error:  # before anything is given
        raise InvalidOption(f"--into {arguments.into}: {error}") from error
    except OSError as error:
        raise StorageError(f"{arguments.path}: {error}: what is left comes again") from error
    kept = _to_come(arguments.path)
    unread = _unread(done)
    sys.stdout.write(outcome(done.pushed, unread, kept, arguments.path, in_json=arguments.json))
    return 0 if done.pushed >= total else 1


def _letters(arguments: argparse.Namespace, handler: Any) -> DeadLetterFile:
    """Return what replays the file: the program's own, if it is that."""
    if isinstance(handler, DeadLetterFile) and _is_same(handler._path, arguments.path):
        return handler
    if arguments.codec is None:
        return DeadLetterFile(arguments.path)
    decode = typed("--codec", arguments.codec)
    return DeadLetterFile(arguments.path, encode=lambda item: item, decode=decode)


def _is_same(path: Path, typed: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(typed)


def _to_come(path: str) -> int:
    return sum(map(lines_to_come, (Path(path), Path(f"{path}.replaying"))))


def _unread(done: Replayed) -> list[str]:
    return [f"{done.kept} lines that cannot be read, or not be decoded"] if done.kept else []


# --- the file of a buffer ----------------------------------------------------------------------


@contextmanager
def _opened(
    arguments: argparse.Namespace, buffer: Any
) -> Generator[tuple[Journal, Codec], None, None]:
    """Have the buffer run, and the journal open: its own, if that is the file."""
    storage, real = buffer._settings.storage, os.path.realpath(arguments.path)
    if isinstance(storage, SQLite) and os.path.realpath(storage.path) == real:
        if not buffer.running:
            look(real)  # a start would make it if it were not there
        with running(buffer):
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
        with running(buffer):
            yield journal, codec
    finally:
        journal.close()


def _what_is_there(journal: Journal) -> tuple[int, int]:
    """Return the id of the last that was given up, and how many items that are together."""
    newest = total = 0
    for each in journal.buried():
        newest, total = each.id, total + each.count
    return newest, total
