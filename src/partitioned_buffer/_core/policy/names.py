"""
Which places of a batch a `PartialFailure` names.

That compares items, which runs code of the user's: it is called where the processor is, and with
no lock held. What it raises, or a name of something that is not in the batch, means that the
whole call failed.

Looked for is the same object first, then an equal one: by its hash, or, for what has none, from
where the last one was found, since names come mostly in the order of the batch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import PartialFailure, Reject
from ..tables.entry import Entry


class Names:
    """
    What some `PartialFailure`s say of a batch.

    After a call, `found` has by place the error of what is named, and whether it is rejected.
    """

    part_of: Callable[[Any], object] | None = None  # the processor, where that is known

    def __init__(self, parts: Sequence[Any], batch: Sequence[Any], *, keyed: bool) -> None:
        self._parts, self._batch, self._keyed = parts, batch, keyed
        self.found: dict[int, tuple[BaseException, bool]] | None = None

    def __call__(self) -> None:
        """Find them."""
        found: dict[int, tuple[BaseException, bool]] = {}
        for part in self._parts:
            if part.retry is None and part.reject is None:
                return  # a subclass that forgot to say what failed
            for names, reject in ((part.retry or (), False), (part.reject or (), True)):
                places = _Places(self._batch, keyed=self._keyed, by_place=part.by_place)
                for name in names:
                    place = places.of(name)
                    if place is None:
                        return
                    said = names[name] if isinstance(names, Mapping) else part
                    found[place] = _error(said, part, reject=reject), reject
        self.found = found


def _error(said: object, part: PartialFailure, *, reject: bool) -> BaseException:
    if isinstance(said, BaseException):
        return said
    return Reject(str(said)) if reject else part


class _Places:
    """The places of a batch: as many as are equal can be found one after the other."""

    def __init__(self, batch: Sequence[Any], *, keyed: bool, by_place: bool) -> None:
        self._keyed, self._by_place = keyed, by_place
        self._things = [item.key for item in batch] if keyed else batch
        self._taken: set[int] = set()
        self._same = self._index(id)
        self._equal: dict[Any, list[int]] | None = None  # once one is asked for
        self._at = 0

    def of(self, name: Any) -> int | None:
        """Return where *name* is: a place that was not named before, if there is one."""
        if self._by_place:
            ours = isinstance(name, int) and 0 <= name < len(self._things)
            return name if ours else None
        if self._keyed and isinstance(name, Entry):
            name = name.key
        place = self._first(self._same.get(id(name), []))
        if place is None or place in self._taken:
            place = self._first(self._equals(name), place)
        if place is None:
            place = self._search(name)
        if place is not None:
            self._taken.add(place)
        return place

    def _index(self, name: Callable[[Any], Any]) -> dict[Any, list[int]]:
        index: dict[Any, list[int]] = {}
        for place in range(len(self._things) - 1, -1, -1):
            index.setdefault(name(self._things[place]), []).append(place)
        return index

    def _equals(self, name: Any) -> list[int]:
        if self._equal is None:
            self._equal = self._index(lambda thing: thing if _is_hashable(thing) else _NoHash)
        return self._equal.get(name, []) if _is_hashable(name) else []

    def _first(self, places: list[int], known: int | None = None) -> int | None:
        """Return the first of *places* (the last in the list) that is free, or else one that is."""
        while len(places) > 1 and places[-1] in self._taken:
            places.pop()
        return places[-1] if places and (known is None or places[-1] not in self._taken) else known

    def _search(self, name: Any) -> int | None:
        count, known = len(self._things), None
        for step in range(count):
            place = (self._at + step) % count
            if self._things[place] == name:
                if place not in self._taken:
                    self._at = place + 1
                    return place
                known = place
        return known


class _NoHash:
    """Stands for what has none."""


def _is_hashable(thing: object) -> bool:
    try:
        hash(thing)
    except TypeError:
        return False
    return True
