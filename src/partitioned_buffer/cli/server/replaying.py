"""`replay` of a server: what was given up of a buffer there goes back into one of the program."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ... import Map
from ...errors import InvalidOption, StorageError
from ...storage.records import Codec
from ..codecs import codec_named
from ..giving import Given, Giving, buffer_named, outcome, running
from ..progress import Progress
from .places import server_at

if TYPE_CHECKING:
    from ...storage.redis.looking import Buffer

Place = tuple[int, int]
"""A partition, and the number of a letter."""


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    into = buffer_named(arguments.into)
    with server_at(arguments.path) as server:
        kept = server.buffer(arguments.name)
        if (kept.kind == "Map") != isinstance(into, Map):
            raise InvalidOption(f"--into {arguments.into}: {into!r}: expected a {kept.kind}")
        dead = kept.dead()
        places = [  # what is given up again from now on is not among these
            (each.partition, number)
            for each in dead
            for number in kept.box.numbers(each.generation, each.partition)
        ]
        total = sum(each.records for each in dead)
        limit = min(arguments.limit or total, total)
        with running(into):
            codec = _codec(arguments, kept, into)
            giving = Giving(into, lambda place: kept.box.forget(*place), codec, limit)
            _give(giving, kept, places, into.name, limit)
        where = f"{kept.name} on {server.where}"
        sys.stdout.write(
            outcome(giving.settled, giving.refused, _left(kept), where, in_json=arguments.json)
        )
    return 0 if giving.settled >= limit else 1


def _give(giving: Giving, kept: "Buffer", places: Sequence[Place], name: str, limit: int) -> None:
    try:
        with Progress(name, limit, lambda: giving.settled, "given back"):
            giving.give(_letters(kept, places))
    except KeyboardInterrupt:
        sys.stderr.write("Ending: what is not settled stays, and comes again.\n")
    except StorageError as error:  # what was settled before that is forgotten already
        sys.stderr.write(f"Ending, and what is not settled stays: {error}\n")


def _letters(kept: "Buffer", places: Sequence[Place]) -> Iterator[Given]:
    for partition, number in places:
        letter = kept.box.open(partition, number)
        if letter is not None:  # not forgotten meanwhile
            yield Given((partition, number), letter.count, letter.data)


def _codec(arguments: argparse.Namespace, kept: "Buffer", into: Any) -> Codec:
    """Return what reads them: that of the buffer, if it is the very one."""
    settings = into._settings
    if settings.is_shared and into._admission.sharing.store.identity == kept.identity:
        codec: Codec = settings.storage.codec
        return codec
    return codec_named(kept.codec, given=arguments.codec, allow_pickle=arguments.allow_pickle)


def _left(kept: "Buffer") -> int | None:
    """Return how many are kept now, with what was given up again; None if nobody can say."""
    try:
        return sum(each.records for each in kept.dead())
    except StorageError:
        return None
