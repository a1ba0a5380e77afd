"""
What becomes of a batch's items: rows, and what is none, by its place.

A row is a dict, by the columns' names, or a tuple (or list), in their order. Any other item, and a
Map's entries, go through a function of the user's, `row=`.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from .. import Entry
from ..errors import InvalidOption, PartialFailure
from .base import expect

Refused = dict[int, BaseException]
"""What of a batch will never do, by its place, and why."""

RowOf = Callable[[Any], Any]

_EXPECTED = "a plain function that makes a row of an item"


class Rows(NamedTuple):
    """What of a batch is rows."""

    rows: list[Any]
    places: Sequence[int]
    """Where in the batch each is."""
    refused: Refused
    """The others."""

    def rejected(self, bad: Mapping[int, BaseException]) -> PartialFailure | None:
        """Return what to raise, given those of the *rows* that are bad, by their number here."""
        refused = self.refused | {self.places[number]: error for number, error in bad.items()}
        return PartialFailure.at(reject=dict(sorted(refused.items()))) if refused else None


def bare(error: BaseException) -> BaseException:
    """Return *error* without any frames: who keeps it would keep the whole batch."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error


def items_of(batch: Any) -> Sequence[Any]:
    """Return the items of a *batch*, or its entries, in a list."""
    return list(batch.values()) if isinstance(batch, Mapping) else batch


class Maker:
    """
    Makes rows of items.

    *columns*: each row is a tuple in their order; None: it is the dict, or the tuple, itself.
    *anything*: whatever an item is, it is a row.
    """

    def __init__(
        self, columns: Iterable[str] | None, row: RowOf | None, *, anything: bool = False
    ) -> None:
        expect(row is None or is_plain(row), "row", row, f"{_EXPECTED}, or None")
        self._anything = anything
        self._columns = None if columns is None else tuple(columns)
        self._row = row
        some = self._columns or ()
        self._pick = itemgetter(*some) if len(some) > 1 else None

    def __call__(self, batch: Any) -> Rows:
        """Return the rows of *batch*; raise `InvalidOption` if it is a Map's and `row=` missing."""
        if self._row is None and (quick := self._quick(items_of(batch))) is not None:
            return Rows(quick, range(len(quick)), {})
        refused = Refused()
        rows: list[Any] = []
        places: list[int] = []
        for place, item in enumerate(items_of(batch)):
            if self._row is None and isinstance(item, Entry):
                raise InvalidOption(
                    "row=None: expected, for a Map, a function of one of its entries"
                )
            try:
                rows.append(self._made(item if self._row is None else self._row(item)))
            except Exception as error:
                refused[place] = bare(error)
            else:
                places.append(place)
        return Rows(rows, places, refused)

    def _quick(self, items: Sequence[Any]) -> list[Any] | None:
        """Return the rows of *items* that are what most are, and complete; None: one by one."""
        kinds = set(map(type, items))
        if self._pick is not None and kinds == {dict}:
            try:
                return list(map(self._pick, items))
            except KeyError:
                return None
        if self._columns is not None and kinds and all(map(_are_tuples, kinds)):
            fit = set(map(len, items)) == {len(self._columns)}
            return list(map(tuple, items)) if fit else None
        return None

    def _made(self, row: Any) -> Any:
        if self._anything:
            return row
        if isinstance(row, Mapping):
            return row if self._columns is None else self._picked(row, self._columns)
        if not isinstance(row, tuple | list):
            raise TypeError(f"a row of type {type(row).__name__}: expected a dict or a tuple")
        if self._columns is not None and len(row) != len(self._columns):
            columns = ", ".join(self._columns)
            raise ValueError(
                f"a row of {len(row)}: expected {len(self._columns)} values ({columns})"
            )
        return row if self._columns is None else tuple(row)

    @staticmethod
    def _picked(row: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[Any, ...]:
        if missing := [column for column in columns if column not in row]:
            raise LookupError(f"the row has no {', '.join(missing)}")
        return tuple([row[column] for column in columns])


def _are_tuples(kind: type) -> bool:
    """Return whether what is of a *kind* is a tuple, named or not, and nothing more."""
    if not issubclass(kind, tuple) or issubclass(kind, Entry):
        return False
    return kind.__iter__ is tuple.__iter__ and kind.__len__ is tuple.__len__


def is_plain(function: object) -> bool:
    """Return whether a call of *function* does something, without an event loop."""
    called = getattr(function, "__call__", function)
    makers = (inspect.iscoroutinefunction, inspect.isgeneratorfunction)
    return callable(function) and not any(is_(f) for is_ in makers for f in (function, called))


def expect_columns(columns: Any) -> tuple[str, ...]:
    """Return *columns* as a tuple; raise `InvalidOption` unless they are names."""
    are_names = (
        isinstance(columns, Sequence)
        and not isinstance(columns, str)
        and columns
        and all(isinstance(name, str) and name and "\0" not in name for name in columns)
        and len(set(columns)) == len(columns)
    )
    expect(are_names, "columns", columns, "the names of columns, each once, in a list")
    return tuple(columns)
