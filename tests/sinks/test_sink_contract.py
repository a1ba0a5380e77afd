"""The contract of sinks: one that is right keeps it, and each that is wrong fails its own test."""

import threading
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
from shelves import AsyncShelfSink, Shelf, ShelfContract, ShelfSink

from partitioned_buffer import Outage, PartialFailure, Reject, RetryAfter, Split
from partitioned_buffer.sinks.rows import items_of
from partitioned_buffer.testing.contract.sinks import keeping
from partitioned_buffer.testing.sinks import SinkContract


class TestThreads(ShelfContract):
    pass


class TestTasks(ShelfContract):
    sink = AsyncShelfSink


class _Says(ShelfSink):
    """Says something else than it should."""

    instead_of: Any = ()
    says: BaseException | None = None

    def __call__(self, batch: Any) -> None:
        try:
            super().__call__(batch)
        except self.instead_of as error:
            if self.says is not None:
                raise self.says.with_traceback(None) from error


class AsItCame(_Says):
    """An outage is let out as the client has raised it."""

    instead_of, says = Outage, ConnectionError("away")


class Swallows(_Says):
    instead_of = Outage


class BlamesTheRows(_Says):
    instead_of, says = Outage, Reject("away")


class SwallowsBadRows(_Says):
    instead_of = PartialFailure


class BlamesAll(_Says):
    instead_of, says = PartialFailure, Reject("a text is missing")


class LetsOut(_Says):
    """Its buffer has to find the bad row out."""

    instead_of, says = PartialFailure, ValueError("a text is missing")


class Mute(_Says):
    """It names the row, and not what is wrong with it."""

    def __call__(self, batch: Any) -> None:
        try:
            super().__call__(batch)
        except PartialFailure as error:
            raise PartialFailure.at(reject=list(error.reject or ())) from None


class Miscounts(_Says):
    def __call__(self, batch: Any) -> None:
        try:
            super().__call__(batch)
        except PartialFailure as error:
            reasons = dict(error.reject) if isinstance(error.reject, dict) else {}
            shifted = {(place + 1) % len(batch): why for place, why in reasons.items()}
            raise PartialFailure.at(reject=shifted) from None


class AllOrNothing(ShelfSink):
    """With a bad row, the others are said to be there, and are not."""

    def put_all(self, rows: list[Any]) -> dict[int, BaseException]:
        bad = {n: ValueError("a text is missing") for n, row in enumerate(rows) if row[1] is None}
        return bad or super().put_all(rows)  # type: ignore[return-value]


class RejectsWhatIsTooLarge(_Says):
    instead_of, says = Split, Reject("too many rows")


class LetsOutWhatIsTooLarge(_Says):
    instead_of, says = Split, OverflowError("too many rows")


class ForgetsWhen(_Says):
    instead_of, says = RetryAfter, RetryAfter(1.0)


class TakesThrottlingForFailure(_Says):
    instead_of, says = RetryAfter, BlockingIOError("too many calls")


class AsksForNoId(ShelfSink):
    def is_known(self) -> bool:
        return False


class KnowsTheFirstAlone(ShelfSink):
    """It takes every batch after the first for that one."""

    def is_known(self) -> bool:
        known = bool(self.shelf.batches)
        super().is_known()
        return known


class KnowsPositionsAlone(ShelfSink):
    """It forgets that there are other buffers."""

    def is_known(self) -> bool:
        before = {identity.position for identity in self.shelf.batches}
        super().is_known()
        return len(before) == len({identity.position for identity in self.shelf.batches})


class WaitsForEver(ShelfSink):
    def wait(self) -> None:
        while self.shelf.is_silent:
            threading.Event().wait(0.01)


class TakesSilenceForFailure(_Says):
    instead_of, says = Outage, TimeoutError("no answer")


class KeepsTheBatch(ShelfSink):
    def __call__(self, batch: Any) -> None:
        self.last = batch
        super().__call__(batch)


class KeepsTheError(ShelfSink):
    def __call__(self, batch: Any) -> None:
        try:
            super().__call__(batch)
        except Exception as error:
            self.last = error
            raise


class KeepsFrames(ShelfSink):
    """The reasons of dead letters come with the frames in which they were raised."""

    def __call__(self, batch: Any) -> None:
        try:
            super().__call__(batch)
        except PartialFailure as error:
            reasons = dict(error.reject) if isinstance(error.reject, dict) else {}
            for reason in reasons.values():
                _raise(reason, batch)
            raise


def _raise(error: BaseException, batch: Any) -> None:
    try:
        raise error  # noqa: TRY301
    except BaseException:
        assert batch


class InDisorder(ShelfSink):
    def __call__(self, batch: Any) -> None:
        super().__call__(sorted(items_of(batch), key=str))


class TakesListsAlone(ShelfSink):
    def __call__(self, batch: Any) -> None:
        super().__call__(batch[:])


class Backwards(ShelfSink):
    """What comes last wins, however old."""

    def put_all(self, rows: list[Any]) -> dict[int, BaseException]:
        for row in rows if self.keyed else ():
            self.shelf.rows = [other for other in self.shelf.rows if other[0] != row[0]]
        return super().put_all(rows)


class GivesUp(ShelfSink):
    """An outage is the end of it."""

    def __call__(self, batch: Any) -> None:
        try:
            super().__call__(batch)
        except Outage:
            self.shelf = Shelf()
            self.shelf.is_down = True
            raise


class ClosedForGood(ShelfSink):
    def close(self) -> None:
        self.shelf = Shelf()
        self.shelf.is_down = True


class ClosedOnce(ShelfSink):
    def close(self) -> None:
        del self.timeout


class TakesAnyOption(ShelfSink):
    def __init__(self, shelf: Shelf, **options: Any) -> None:
        options["timeout"] = 0.05
        super().__init__(shelf, **options)


class RefusesInFewWords(ShelfSink):
    def __init__(self, shelf: Shelf, **options: Any) -> None:
        if options.get("timeout", 1) == -1:
            raise ValueError("bad timeout")
        super().__init__(shelf, **options)


WRONG = {
    AsItCame: "an_outage_is_said_as_an_outage an_outage_costs_nothing",
    Swallows: "an_outage_is_said_as_an_outage an_outage_costs_nothing",
    BlamesTheRows: "an_outage_is_said_as_an_outage an_outage_costs_nothing",
    GivesUp: "an_outage_is_said_as_an_outage so_it_is_after_it_has_worked",
    SwallowsBadRows: "a_bad_row_is_rejected_alone_with_its_reason "
    "what_makes_no_row_is_rejected_alone",
    BlamesAll: "a_bad_row_is_rejected_alone_with_its_reason so_are_several_among_many",
    LetsOut: "a_bad_row_is_a_dead_letter_at_the_first_call",
    Mute: "a_bad_row_is_rejected_alone_with_its_reason",
    Miscounts: "a_bad_row_is_rejected_alone_with_its_reason",
    AllOrNothing: "a_bad_row_is_rejected_alone_with_its_reason so_are_several_among_many",
    RejectsWhatIsTooLarge: "too_large_is_split what_is_too_large_gets_there_in_parts",
    LetsOutWhatIsTooLarge: "too_large_is_split",
    ForgetsWhen: "throttled_is_come_back_later",
    TakesThrottlingForFailure: "throttled_is_come_back_later what_is_throttled_gets_there_later",
    AsksForNoId: "a_batch_that_comes_twice_is_there_once so_it_is_by_another_sink",
    KnowsTheFirstAlone: "what_comes_between_and_after_is_there a_queue_delivers_all_in_order",
    KnowsPositionsAlone: "another_buffers_batch_is_another",
    WaitsForEver: "everything_that_waits_has_a_time_limit",
    TakesSilenceForFailure: "everything_that_waits_has_a_time_limit",
    KeepsTheBatch: "nothing_is_kept_after_delivery nothing_is_kept_after_an_outage",
    KeepsTheError: "nothing_is_kept_after_an_outage "
    "nothing_is_kept_of_a_batch_that_was_rejected_in_part",
    KeepsFrames: "a_dead_letters_error_does_not_keep_the_batch",
    InDisorder: "rows_keep_the_order_of_the_batch",
    TakesListsAlone: "so_it_does_as_a_whole_table",
    Backwards: "what_is_newer_wins_in_the_destination_too",
    ClosedForGood: "it_may_be_closed_twice_and_used_again",
    ClosedOnce: "it_may_be_closed_twice_and_used_again",
    TakesAnyOption: "bad_options_are_refused_when_it_is_made",
    RefusesInFewWords: "bad_options_are_refused_when_it_is_made",
}
"""What can be wrong with a sink, and the tests that are meant for it."""

CASES = [(wrong, f"test_{name}") for wrong, names in WRONG.items() for name in names.split()]


@pytest.mark.parametrize(("wrong", "test"), CASES, ids=[f"{w.__name__}-{t}" for w, t in CASES])
def test_what_is_wrong_fails_the_test_that_is_meant_for_it(
    wrong: type[ShelfSink], test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PATIENCE", 0.3)
    contract = type("Contract", (ShelfContract,), {"sink": wrong})()

    with pytest.raises((AssertionError, AttributeError, TypeError, ValueError)) as failed:
        getattr(contract, test)(tmp_path)
    if not isinstance(failed.value, AssertionError):
        assert wrong in (ClosedOnce, TakesListsAlone, RefusesInFewWords)


def test_what_is_not_given_fails_and_says_what_to_give(tmp_path: Path) -> None:
    class Half(ShelfContract):
        bad_item = SinkContract.bad_item

    with pytest.raises(NotImplementedError, match=r"bad_item\(\) .* cannot = \{'reject'"):
        Half().test_a_bad_row_is_rejected_alone_with_its_reason(tmp_path)


def test_what_a_destination_cannot_do_is_declared_and_left_out(tmp_path: Path) -> None:
    class Weak(ShelfContract):
        cannot = {"reject": "it takes everything"}  # noqa: RUF012

    with pytest.raises(SkipTest, match="it takes everything"):
        Weak().test_a_bad_row_is_rejected_alone_with_its_reason(tmp_path)


def test_what_nobody_has_heard_of_is_no_reason_to_leave_tests_out(tmp_path: Path) -> None:
    class Misspelt(ShelfContract):
        cannot = {"rejects": "it takes everything"}  # noqa: RUF012

    with pytest.raises(AssertionError, match=r"cannot has \{'rejects'\}: expected"):
        Misspelt().test_what_it_cannot_do_is_called_by_its_name(tmp_path)
