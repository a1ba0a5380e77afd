"""
What a sink under test has to be given, and what its tests share.

A method that is not given fails the tests that take it, so that nothing is left out unsaid: what a
destination cannot do is declared in `cannot`, with the reason, and those tests are skipped.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from .using import Use

Row = tuple[int, str]
"""A row as it is found in the destination: its number, and its text."""


ABILITIES = {
    *("outage", "reject", "too_large", "throttled", "silence"),
    *("repeat", "tuples", "order", "map", "versions"),
}


class Base:
    """What a subclass gives, and may give. Each test has a *tmp_path* of its own."""

    cannot: ClassVar[Mapping[str, str]] = {}
    """
    What the destination cannot do, and why not:

        outage       be away
        reject       refuse a row
        too_large    refuse a batch for its size
        throttled    say when to come back
        silence      take a call and say nothing
        repeat       tell that a batch comes again
        tuples       take tuples for rows
        order        tell in which order rows came
        map          take a Map's entries
        versions     keep what is newer
    """
    reason: ClassVar[str] = ""
    """What the error of a row that is refused says, at least."""
    most: ClassVar[int] = 4
    """Of how many rows a batch may be, in `too_large`."""
    seconds: ClassVar[float] = 7.0
    """When to come back, as it is said in `throttled`."""
    everyone: ClassVar[bool] = True
    """Whether that goes for all partitions."""
    wrong_options: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Options, each of which `make` refuses with an `InvalidOption`."""

    def make(self, tmp_path: Path, **options: Any) -> Any:
        """Return a new sink to the destination of this test, for items as `item` makes them."""
        raise NotImplementedError(_missing("make", None))

    def found(self, tmp_path: Path) -> list[Row]:
        """Return what is in the destination, in the order in which it came, all of it."""
        raise NotImplementedError(_missing("found", None))

    def make_hasty(self, tmp_path: Path) -> Any:
        """Return a sink that waits for an answer for a second at most; unless given, as `make`."""
        return self.make(tmp_path)

    def make_for_map(self, tmp_path: Path) -> Any:
        """Return a sink for entries whose values are items; their versions are kept, if any are."""
        raise NotImplementedError(_missing("make_for_map", "map"))

    def item(self, number: int, text: str | None = None) -> dict[str, Any]:
        """Return an item that makes a good row."""
        return {"id": number, "text": f"row {number}" if text is None else text}

    def bad_item(self, number: int) -> Any:
        """Return a row that the destination refuses."""
        raise NotImplementedError(_missing("bad_item", "reject"))

    def no_row(self) -> Any:
        """Return an item of which no row can be made."""
        return object()

    def outage(self, tmp_path: Path) -> AbstractContextManager[object]:
        """Return a context in which the destination is away."""
        raise NotImplementedError(_missing("outage", "outage"))

    def silence(self, tmp_path: Path) -> AbstractContextManager[object]:
        """Return a context in which it takes a call, and does not answer."""
        raise NotImplementedError(_missing("silence", "silence"))

    def too_large(self, tmp_path: Path) -> AbstractContextManager[object]:
        """Return a context in which it refuses what has more than `most` rows, for its size."""
        raise NotImplementedError(_missing("too_large", "too_large"))

    def throttled(self, tmp_path: Path) -> AbstractContextManager[object]:
        """Return a context in which it says to come back in `seconds`."""
        raise NotImplementedError(_missing("throttled", "throttled"))

    # --- what the tests use

    def needs(self, *abilities: str) -> None:
        """Skip the test unless the destination has these."""
        for ability in abilities:
            if ability in self.cannot:
                raise SkipTest(self.cannot[ability])

    def used(self, tmp_path: Path) -> Use:
        """Return a new sink in use, to be used in a `with` block."""
        return Use(self.make(tmp_path))

    def items(self, *numbers: int) -> list[Any]:
        """Return good items."""
        return [self.item(number) for number in numbers]

    def rows(self, *numbers: int) -> list[Row]:
        """Return what `items` are once they are found."""
        return [(number, f"row {number}") for number in numbers]

    def all_found(self, tmp_path: Path) -> list[Row]:
        """Return what is found, by numbers."""
        return sorted((number, text) for number, text in self.found(tmp_path))


def _missing(method: str, ability: str | None) -> str:
    declared = f", or say why not in cannot = {{{ability!r}: ...}}" if ability else ""
    return f"{method}() is not given: define it{declared}"
