"""
A signal pending at every opcode of every call: raising, and writing.

A tracer in C sets the signal's flag; the handler runs where CPython looks next. Traced are the
modules in Python and those that call them: so for the tables in C what is tried is every instant
before, between and after their steps, and whatever Python they call.

After each: the ledger, the room and what is held agree, no lock is held, what returned is counted
once, and all can be delivered. A step that is not one, planted, is found.
"""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import ROUNDS
from implementations import load
from table_calls import CASES, Subject, heavier

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="no signals that a tracer could set"
)


STRIDE = 1 if ROUNDS >= 1 else 3
"""How many opcodes further the next signal comes: in `make soak`, at every one."""


class Stop(KeyboardInterrupt):
    """What a handler raises: of anything else, a worker takes `merge` for the culprit."""


def interrupted(
    trip: Any,
    make: Callable[[], Subject],
    call: Any,
    *,
    raises: bool,
    look: Callable[[Subject, bool], str | None] = lambda *_: None,
) -> Iterator[str]:
    """
    Interrupt *call* at each of its opcodes; yield what was wrong first.

    What *look* says of it is wrong, too; it is told whether the call returned.
    """
    now: list[Subject] = []
    handled: list[None] = []

    def handler(*_: object) -> None:
        handled.append(None)
        if raises:
            raise Stop
        now[-1].write_more()

    def run(subject: Subject, at: int) -> int | None:
        now[:] = [subject]
        handled.clear()
        try:
            return int(
                trip.run(lambda: call(subject), at, signal.SIGUSR1, ".py", lambda: call(make()))
            )
        except Stop:
            return None

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        last = run(make(), 10**9) or 0
        for at in range(1, last + 2, STRIDE):
            subject = make()
            returned = run(subject, at) is not None
            swallowed = raises and returned and handled
            trouble = "what the handler raised is swallowed" if swallowed else None
            trouble = trouble or look(subject, returned) or subject.trouble()
            if trouble is not None:
                yield f"opcode {at} of {last}: {trouble}"
                return
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("raises", [True, False], ids=["raising", "writing"])
@pytest.mark.parametrize(
    ("kind", "setup", "how", "call"),
    [pytest.param(kind, *case, id=f"{kind}: {name}") for kind, name, *case in CASES],
)
@pytest.mark.parametrize("implementation", ["python", "c"])
def test_no_signal_parts_a_step(
    trip: Any, implementation: str, kind: str, setup: str, how: Any, call: Any, raises: bool
) -> None:
    made = load(implementation)

    def make() -> Subject:
        return Subject(made, kind, setup, **how)

    assert list(interrupted(trip, make, call, raises=raises)) == []


@pytest.mark.parametrize("raises", [True, False], ids=["raising", "writing"])
@pytest.mark.parametrize("implementation", ["python", "c"])
@pytest.mark.parametrize("version", [None, 9])
@pytest.mark.parametrize("bounds", [None, (60, 900)])
def test_what_is_merged_is_merged_once_or_not_at_all(
    trip: Any, implementation: str, version: int | None, bounds: Any, raises: bool
) -> None:
    made = load(implementation)
    weigh = heavier if bounds and bounds[1] else None

    def add(old: int, new: int) -> int:
        return old + new

    def make() -> Subject:
        return Subject(made, "Map", "plain", bounds=bounds, merge=add, weigh=weigh)

    def look(subject: Subject, returned: bool) -> str | None:
        value, handled = subject.table.get(5), subject.table.counts()["accepted"] > 9
        whole = 5 + 400 + (7 if handled else 0)  # which the handler writes
        if value == whole or (value == 5 and not returned):
            return None
        return f"5 and 400 are {value}, and the call {'returned' if returned else 'did not'}"

    def call(subject: Subject) -> Any:
        return subject.table.put(5, 400, version, 4 if weigh else 0)

    assert list(interrupted(trip, make, call, raises=raises, look=look)) == []


@pytest.mark.parametrize("implementation", ["python", "c"])
def test_what_is_merged_at_a_retry_is_merged_once(trip: Any, implementation: str) -> None:
    made = load(implementation)

    def add(old: int, new: int) -> int:
        return old + new

    def make() -> Subject:
        return Subject(made, "Map", "flying hand", merge=add)  # where 1 to 3 wait once more

    def look(subject: Subject, returned: bool) -> str | None:
        if not returned:
            subject.table.again(None)
        entries = subject.table.again(None)
        values = {entry.key: entry.value for entry in entries}
        return None if values == {1: 2, 2: 4, 3: 6} else f"{values}, returned: {returned}"

    again = interrupted(trip, make, lambda s: s.table.again(None), raises=True, look=look)
    assert list(again) == []


def put_newer(table: Any) -> None:
    for key in (1, 99):
        table.put(key, 7, 300, 9)


def deliver_newer(table: Any) -> None:
    table.put(5, 7, 300, 1)
    while table.take(None) or table.swap():
        pass


@pytest.mark.parametrize(
    ("setup", "method", "args", "handle", "held"),
    [
        ("plain flying", "put_all", [[(1, 1, 9, 1), (99, 1, 9, 3)]], put_newer, {1: 7, 99: 7}),
        ("plain flying", "put", [5, 1, 50, 1], deliver_newer, {5: None}),
        ("plain", "swap", [], put_newer, {1: 7, 99: 7}),
        ("plain", "drop", [2], put_newer, {1: 7, 99: 7}),
    ],
)
@pytest.mark.parametrize("implementation", ["python", "c"])
def test_a_step_is_made_of_what_is_there_by_then(
    trip: Any, implementation: str, setup: str, method: str, args: Any, handle: Any, held: Any
) -> None:
    """Each handler changes only what its step has to ask for: a delete would give it away."""
    made = load(implementation)

    class Handled(Subject):
        is_handled = False

        def write_more(self) -> None:
            self.is_handled = True
            handle(self.table)

    def look(subject: Any, _: bool) -> str | None:
        found = {key: subject.table.get(key) for key in held}
        return f"{found}" if subject.is_handled and found != held else None

    def make() -> Subject:
        return Handled(made, "Map", setup)

    def call(subject: Subject) -> Any:
        return getattr(subject.table, method)(*args)

    assert list(interrupted(trip, make, call, raises=False, look=look)) == []


@pytest.mark.parametrize("raises", [True, False], ids=["raising", "writing"])
def test_a_step_with_a_call_in_it_is_found(trip: Any, raises: bool) -> None:
    made = load("python")

    class Parted(made.QueueTable):  # type: ignore[misc, name-defined]
        """Counts, calls something, and writes down what it counted."""

        _accepted: int

        def push(self, item: Any, weight: int = 0, first: bool = False) -> int:
            accepted = self._accepted
            self._waiting += [item]
            os.getpid()
            self._accepted = accepted + 1
            return 0

    made.QueueTable = Parted

    def make() -> Subject:
        return Subject(made, "Queue", bounds=None)

    found = list(interrupted(trip, make, lambda s: s.table.push(7), raises=raises))

    assert found
    assert "ledger" in found[0]
