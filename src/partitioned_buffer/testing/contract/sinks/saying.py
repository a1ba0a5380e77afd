"""What a sink raises for which failure."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

from .... import InvalidOption, Outage, PartialFailure, Reject, RetryAfter, Split
from ..base import raised
from .base import ABILITIES, Base

BAD = (0, 17, 29)
"""Where bad rows are, among thirty."""


class Saying(Base):
    """An outage, a bad row, too large, throttled: each is said as what it is."""

    def test_what_it_cannot_do_is_called_by_its_name(self, tmp_path: Path) -> None:  # noqa: ARG002
        unknown = set(self.cannot) - ABILITIES
        assert not unknown, f"cannot has {unknown}: expected some of {sorted(ABILITIES)}"

    def test_what_it_returned_from_is_there(self, tmp_path: Path) -> None:
        with self.used(tmp_path) as use:
            assert use.give(self.items(*range(5))) is None
            assert use.give(self.items(*range(5, 8)), position=5) is None
            assert self.all_found(tmp_path) == self.rows(*range(8))

    def test_rows_keep_the_order_of_the_batch(self, tmp_path: Path) -> None:
        self.needs("order")
        numbers = [3, 1, 4, 15, 9, 2, 6]
        with self.used(tmp_path) as use:
            assert use.give(self.items(*numbers)) is None
            assert self.found(tmp_path) == self.rows(*numbers)

    def test_tuples_are_rows_too(self, tmp_path: Path) -> None:
        self.needs("tuples")
        with self.used(tmp_path) as use:
            assert use.give([tuple(item.values()) for item in self.items(1, 2)]) is None
            assert use.give([list(item.values()) for item in self.items(3)], position=2) is None
            assert self.all_found(tmp_path) == self.rows(1, 2, 3)

    # --- outages

    def test_an_outage_is_said_as_an_outage(self, tmp_path: Path) -> None:
        self.needs("outage")
        with self.used(tmp_path) as use:
            with self.outage(tmp_path):
                for _ in range(2):
                    says(use.give(self.items(1, 2)), Outage, RetryAfter)
            assert use.give(self.items(1, 2)) is None, "it is back"
            assert self.all_found(tmp_path) == self.rows(1, 2)

    def test_so_it_is_after_it_has_worked(self, tmp_path: Path) -> None:
        self.needs("outage")
        with self.used(tmp_path) as use:
            assert use.give(self.items(1)) is None
            with self.outage(tmp_path):
                says(use.give(self.items(2), position=1), Outage, RetryAfter)
            assert use.give(self.items(2), position=1) is None, "it is back"
            assert self.all_found(tmp_path) == self.rows(1, 2)

    # --- rows that will never do

    def test_a_bad_row_is_rejected_alone_with_its_reason(self, tmp_path: Path) -> None:
        self.needs("reject")
        batch = [self.item(1), self.bad_item(2), self.item(3)]
        with self.used(tmp_path) as use:
            error = use.give(batch)
            rejects(error, {1}, batch)
            assert self.reason in str(reason_of(error)), "why it is bad"
            assert self.all_found(tmp_path) == self.rows(1, 3), "the rest goes in"

    def test_so_are_several_among_many(self, tmp_path: Path) -> None:
        self.needs("reject")
        batch = [self.bad_item(n) if n in BAD else self.item(n) for n in range(30)]
        with self.used(tmp_path) as use:
            rejects(use.give(batch), set(BAD), batch)
            good = [n for n in range(30) if n not in BAD]
            assert self.all_found(tmp_path) == self.rows(*good)

    def test_a_batch_of_nothing_else_is_rejected(self, tmp_path: Path) -> None:
        self.needs("reject")
        batch = [self.bad_item(1), self.bad_item(2)]
        with self.used(tmp_path) as use:
            rejects(use.give(batch), {0, 1}, batch)
            assert use.give(self.items(3), position=2) is None, "it goes on"
            assert self.all_found(tmp_path) == self.rows(3)

    def test_what_makes_no_row_is_rejected_alone(self, tmp_path: Path) -> None:
        batch = [self.item(1), self.no_row(), self.item(3)]
        with self.used(tmp_path) as use:
            rejects(use.give(batch), {1}, batch)
            assert self.all_found(tmp_path) == self.rows(1, 3)

    def test_a_bad_row_is_a_dead_letter_at_the_first_call(self, tmp_path: Path) -> None:
        self.needs("reject")
        bad = self.bad_item(7)

        def script(queue: Any) -> Generator[float]:
            queue.push_all([*self.items(*range(5)), bad, *self.items(*range(10, 15))])
            yield 5.0

        with self.used(tmp_path) as use:
            done = use.in_buffer("queue", script, processing_batch_size=100)
        assert done.dead.items == [bad]
        assert done.dead.attempts == [1]
        assert self.reason in str(done.dead.errors[0])
        assert self.all_found(tmp_path) == self.rows(*range(5), *range(10, 15))

    # --- too large, and too often

    def test_too_large_is_split(self, tmp_path: Path) -> None:
        self.needs("too_large")
        with self.used(tmp_path) as use, self.too_large(tmp_path):
            says(use.give(self.items(*range(self.most + 1))), Split)
            assert use.give(self.items(*range(self.most))) is None
            assert self.all_found(tmp_path) == self.rows(*range(self.most))

    def test_throttled_is_come_back_later(self, tmp_path: Path) -> None:
        self.needs("throttled")
        with self.used(tmp_path) as use:
            with self.throttled(tmp_path):
                error = use.give(self.items(1))
                says(error, RetryAfter)
                assert isinstance(error, RetryAfter)
                assert (error.seconds, error.everyone) == (self.seconds, self.everyone)
            assert use.give(self.items(1)) is None

    # --- options

    def test_bad_options_are_refused_when_it_is_made(self, tmp_path: Path) -> None:
        for options in self.wrong_options:
            name = next(iter(options))
            error = str(raised(InvalidOption, self.make, tmp_path, **options))
            assert name in error, f"{name} is named: {error}"
            assert "expected" in error, f"it says what was expected: {error}"


def leaves(error: BaseException | None) -> list[BaseException]:
    """Return what a group is made of; an error that is none, itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [] if error is None else [error]


def says(error: BaseException | None, *kinds: type[BaseException]) -> None:
    """Assert that *error* is one of these *kinds*, and says why."""
    words = " or ".join(kind.__name__ for kind in kinds)
    assert error is not None, f"it returned: expected {words}"
    for leaf in leaves(error):
        assert isinstance(leaf, kinds), f"it raised {leaf!r}: expected {words}"


def reason_of(error: BaseException | None) -> object:
    """Return the first of the errors that a `PartialFailure` gives to what it rejects."""
    reject = getattr(error, "reject", None)
    return next(iter(reject.values()), None) if isinstance(reject, dict) else error


def rejects(error: BaseException | None, places: set[int], batch: list[Any]) -> None:
    """Assert that *error* rejects these *places* of the *batch*, each with a reason of its own."""
    if isinstance(error, Reject) and len(places) == len(batch):
        assert str(error), "it says why"
        return
    assert isinstance(error, PartialFailure), f"{error!r}: expected a PartialFailure"
    assert not error.retry, "there is nothing to try again"
    assert isinstance(error.reject, dict), "each with its own reason"
    named = set(error.reject)
    if not error.by_place:
        named = {place for place, item in enumerate(batch) if any(item is n for n in error.reject)}
    assert named == places, f"it rejects {sorted(named)}: expected {sorted(places)}"
    assert all(str(reason) for reason in error.reject.values()), "each says why"
