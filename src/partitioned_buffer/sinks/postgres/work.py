"""
What becomes of a batch: by steps that do no I/O, for threads and tasks alike.

At once, if nothing is wrong: one COPY, and an INSERT of what was copied if rows have a key. If
something is, all of it is taken back, and done again part by part, in one transaction: COPY says
which line it refuses, what INSERT refuses is found by halving, and what no COPY takes, but the
server might (a text that is a date), goes there by itself.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import psycopg

from ...abc import BatchId
from ...errors import Outage
from ..halving import find_bad
from ..once import DAYS, REMEMBERED, Note, note
from ..once import known as noted
from ..rows import Refused, Rows, bare
from .commands import Copy, Many, Run, Steps
from .faults import NO_COPY, OF_A_VALUE, ROWS, STALE, fault_of
from .fitting import Row, fits, is_known, said, unfit
from .text import Text


class Known:
    """What is known of a table, by a connection."""

    def __init__(self) -> None:
        self.types: list[int] = []
        self.casts: list[str] = []
        self.staging = ""
        self.takes_copy = True
        """Whether the table itself does."""
        self.has_notes = False

    def forget(self) -> None:
        """Ask again: it may have been altered."""
        self.types, self.staging, self.has_notes = [], "", False


class Lent(NamedTuple):
    """A connection, for a batch."""

    connection: Any
    known: Known
    is_own: bool
    """Whether it is used for nothing else: its time limits are set."""
    is_used: bool
    """Whether it has been lent before: its server may have gone since."""


class Work:
    """What becomes of the batches of one table."""

    def __init__(self, text: Text, limits: str) -> None:
        self._text = text
        self._limits = limits
        self._places = [text.columns.index(name) for name in text.key]
        self._key = itemgetter(*self._places) if self._places else tuple
        self._version = None if text.version is None else text.columns.index(text.version)

    def steps(self, lent: Lent, made: Rows, batch: BatchId | None) -> Steps[Refused]:
        """Take rows to the table; return which are refused. Of which *batch* they are: `once`."""
        one = _One(self._text, self._limits, lent, made, batch)
        one.todo = self._latest(made.rows) if self._places else range(len(made.rows))
        return one.steps()

    def _latest(self, rows: list[Row]) -> Sequence[int]:
        """Return the numbers of the rows that no other of the batch replaces."""
        keys = list(map(self._key, rows))
        latest: dict[Any, int] = {}
        try:
            if len(set(keys)) == len(rows):
                return range(len(rows))
            for number, key in enumerate(keys):
                is_none = key is None or (isinstance(key, tuple) and None in key)
                named = number if is_none else (key,)  # NULL is like nothing else
                if self._replaces(rows[number], rows[latest.get(named, number)]):
                    latest[named] = number
        except TypeError:  # no hash, no order: the server says, and it is found part by part
            return range(len(rows))
        return sorted(latest.values())

    def _replaces(self, row: Row, other: Row) -> bool:
        if self._version is None:
            return True
        new, old = row[self._version], other[self._version]
        return new is old or old is None or (new is not None and bool(new >= old))


class _One:
    """One batch."""

    def __init__(
        self,
        text: Text,
        limits: str,
        lent: Lent,
        made: Rows,
        batch: BatchId | None,
    ) -> None:
        self._text, self._known = text, lent.known
        self._rows, self._places = made.rows, made.places
        self._connection, self._batch = lent.connection, batch
        self._begin = "BEGIN; " if lent.connection.autocommit else ""
        self._begin += "" if lent.is_own else limits
        self._is_bare = lent.is_own and batch is None
        self.todo: Sequence[int] = ()
        self._found = Refused()

    def steps(self) -> Steps[Refused]:
        was_known = bool(self._known.types)
        try:
            yield from self._prepare()
            if fits(self._known.types, self._of(self.todo)):
                yield from self._at_once()
                return self._found
        except Exception as error:
            if not self._may_be_mended(error, was_known):
                raise
        if self._connection.info.transaction_status != _IDLE:
            yield Run("ROLLBACK")
        self._known.forget()
        yield from self._prepare()
        yield from self._part_by_part()
        return self._found

    def _may_be_mended(self, error: Exception, was_known: bool) -> bool:
        """Return whether part by part more may go in, by what is known of the table by then."""
        state = getattr(error, "sqlstate", None) or ""
        if state in NO_COPY and self._known.takes_copy:
            self._known.takes_copy = False
            return True
        return fault_of(error) == ROWS or (was_known and state[:2] in STALE)

    # --- at once -----------------------------------------------------------------------------

    def _at_once(self) -> Steps[None]:
        if self._is_bare and not self._is_staged:
            yield Copy(self._text.copy(None), self._known.types, self._of(self.todo))
            return
        yield Run(self._begin)
        todo = yield from self._not_had()
        yield Copy(self._text.copy(self._known.staging or None), self._known.types, self._of(todo))
        insert = f"{self._insert}; " if self._is_staged else ""
        yield from self._note(todo, {})
        yield Run(f"{insert}COMMIT")

    # --- part by part ------------------------------------------------------------------------

    def _part_by_part(self) -> Steps[None]:
        yield Run(f"{self._begin}SET CONSTRAINTS ALL IMMEDIATE")
        todo = yield from self._not_had()
        bad, no_copy = Refused(), unfit(self._connection, self._known.types, self._of(todo))
        for is_unfit, group in _groups(len(todo), no_copy):
            numbers = todo[group.start : group.stop]
            bad |= yield from self._searched(numbers, is_unfit)
        yield from self._note(todo, bad)
        yield Run("COMMIT")
        self._found |= bad

    def _searched(self, numbers: Sequence[int], is_unfit: bool) -> Steps[Refused]:
        """Take those rows; return which are bad."""
        error = yield from self._tried(numbers, is_unfit)
        if error is None:
            return Refused()
        search = find_bad(len(numbers), error, self._named)
        try:
            part = next(search)
            while True:
                error = yield from self._tried(numbers[part.start : part.stop], is_unfit)
                part = search.send(error)
        except StopIteration as end:
            return {numbers[at]: why for at, why in end.value.items()}

    def _tried(self, numbers: Sequence[int], is_unfit: bool) -> Steps[BaseException | None]:
        yield Run("SAVEPOINT part")
        try:
            if is_unfit:
                rows = said(self._known.types, self._of(numbers))
                yield Many(self._text.insert, rows)
            else:
                copy = self._text.copy(self._known.staging or None)
                yield Copy(copy, self._known.types, self._of(numbers))
                if self._is_staged:
                    yield Run(self._insert)
        except Exception as error:
            is_of_value = is_unfit and getattr(error, "sqlstate", None) in OF_A_VALUE
            if fault_of(error) != ROWS and not is_of_value:
                raise
            yield Run("ROLLBACK TO part")
            return bare(error)
        empty = f"TRUNCATE pg_temp.{self._known.staging}; " if self._is_staged else ""
        yield Run(f"{empty}RELEASE part")
        return None

    def _named(self, error: BaseException) -> int | None:
        """Return which row a COPY says it was at, in whatever language."""
        context = error.diag.context if isinstance(error, psycopg.Error) else None
        name = re.escape(self._known.staging or self._text.relation)
        lines = re.findall(rf"^(?=.*\bCOPY\b).*?{name}\D+(\d+)", context or "", re.MULTILINE)
        return int(lines[-1]) - 1 if lines else None

    # --- what both do ------------------------------------------------------------------------

    def _of(self, numbers: Sequence[int]) -> list[Row]:
        rows = self._rows
        return rows if len(numbers) == len(rows) else [rows[number] for number in numbers]

    @property
    def _is_staged(self) -> bool:
        known = self._known
        return bool(self._text.key or any(known.casts) or not known.takes_copy)

    @property
    def _insert(self) -> str:
        return self._text.insert_staged(self._known.staging, self._known.casts)

    def _prepare(self) -> Steps[None]:
        """Find out what is to be known of the table, and have what goes with it."""
        known, text = self._known, self._text
        done = bool(known.types)
        if not known.types:
            found = yield Run(text.COLUMNS, (text.table, list(text.columns)))
            types = {name: (oid, type_) for name, oid, type_ in found}
            if missing := [name for name in text.columns if name not in types]:
                raise Outage(f"PostgreSQL has no table {text.table} with {', '.join(missing)}")
            names = [types[name][1] for name in text.columns]
            are_sent = [is_known(types[name][0]) for name in text.columns]
            # What psycopg cannot send in binary is sent as text, and cast by the server.
            known.casts = ["" if s else f"::{n}" for s, n in zip(are_sent, names, strict=True)]
            sent = [n if s else "text" for s, n in zip(are_sent, names, strict=True)]
            known.types = [
                types[name][0] if s else _TEXT
                for s, name in zip(are_sent, text.columns, strict=True)
            ]
            known.staging = ""
            if self._is_staged:
                known.staging = text.staging(sent)
                yield Run(text.create_staging(known.staging, sent))
        if self._batch is not None and not known.has_notes:
            ((has_notes,),) = yield Run(text.HAS_NOTES, (text.BATCHES,))
            if not has_notes:  # to create what is there takes a privilege, too
                yield Run(text.CREATE_NOTES)
            yield Run(text.FORGET_STORES, (DAYS,))
            known.has_notes, done = True, False
        if not done and not self._connection.autocommit:
            yield Run("COMMIT")

    def _not_had(self) -> Steps[Sequence[int]]:
        """Return which rows are to be taken: those that are not noted."""
        if self._batch is None:
            return self.todo
        batch = self._batch
        where = (batch.buffer, batch.store, batch.partition)
        yield Run(self._text.LOCK, (repr(where),))
        notes = yield Run(self._text.NOTES, (*where, batch.position, batch.position + batch.size))
        had, refused = noted(batch, map(Note._make, notes))
        places = self._places
        self._found = {n: refused[p] for n, p in enumerate(places) if p in refused}
        return [number for number in self.todo if places[number] not in had]

    def _note(self, todo: Sequence[int], bad: Refused) -> Steps[None]:
        if self._batch is None or not todo:
            return
        batch = self._batch
        where = (batch.buffer, batch.store, batch.partition)
        line = note(batch, {self._places[number]: error for number, error in bad.items()})
        yield Run(self._text.NOTE, (*where, *line))
        yield Run(self._text.FORGET, (*where, batch.position - REMEMBERED))


_IDLE = psycopg.pq.TransactionStatus.IDLE
_TEXT = 25
"""The number of the type text."""


def _groups(count: int, unfit: set[int]) -> Iterator[tuple[bool, range]]:
    """Yield what is next to each other and of one sort."""
    for is_unfit, group in groupby(range(count), unfit.__contains__):
        numbers = list(group)
        yield is_unfit, range(numbers[0], numbers[-1] + 1)
