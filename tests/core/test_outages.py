"""A destination that is down, and items that are bad, on real workers and a clock that stands."""

import concurrent.futures
import copy
import math
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers

from partitioned_buffer import (
    BufferFull,
    Entry,
    Outage,
    PartialFailure,
    PartitionedBufferError,
    Reject,
    Retry,
    RetryAfter,
    Split,
    Undelivered,
)
from partitioned_buffer.testing import FakeClock, RecordingProcessor

both_faces = pytest.mark.both_faces
CALM = Retry(jitter=0.0)


class Destination:
    """Is down, or refuses some items, as told."""

    def __init__(self) -> None:
        self.down: BaseException | None = None
        self.bad: dict[Any, BaseException] = {}
        self.calls: list[list[Any]] = []
        self.delivered: list[Any] = []
        self.dead: list[tuple[list[Any], str, int]] = []

    def __call__(self, batch: list[Any]) -> None:
        self.calls.append(list(batch))
        if self.down is not None:
            raise self.down.with_traceback(None)
        for item in batch:
            if item in self.bad:
                raise self.bad[item].with_traceback(None)
        self.delivered += batch

    def bury(self, items: list[Any], error: BaseException, attempts: int) -> None:
        self.dead.append((items, type(error).__name__, attempts))


@pytest.fixture
def sink() -> Destination:
    return Destination()


@both_faces
def test_hours_down_lose_nothing_and_are_said(
    buffers: Buffers, clock: FakeClock, sink: Destination, caplog: pytest.LogCaptureFixture
) -> None:
    queue = buffers.queue(processor=sink, partitions=3, retry=CALM, dead_letter=sink.bury)
    for item in range(90):
        queue.push(item)
    sink.down = ConnectionError("down")
    clock.advance(3600.0)
    assert len(sink.calls) <= 3.5 * 60 + 30
    said = [r.getMessage() for r in caplog.records if "nothing has gone through" in r.message]
    assert len(said) == 4, "after 5 minutes, and at each doubling"
    assert "if the items are bad, raise Reject" in said[0]

    sink.down = None
    clock.advance(65.0)

    assert sorted(sink.delivered) == list(range(90))
    assert queue.stats().dead_lettered == 0


@both_faces
def test_news_of_a_success_ends_the_waits_of_the_others(
    buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    queue = buffers.queue(processor=sink, partitions=4, retry=CALM)
    for item in range(4):  # one to each
        queue.push(item)
    sink.down = ConnectionError("down")
    clock.advance(1000.0)
    sink.down = None

    clock.advance(61.0)

    assert sorted(sink.delivered) == [0, 1, 2, 3], "though their turns are a minute apart"


@both_faces
def test_one_bad_item_costs_nobody_else(
    buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    queue = buffers.queue(processor=sink, retry=CALM, dead_letter=sink.bury)
    sink.bad = {13: ValueError("bad")}
    queue.push_all(range(40))

    clock.advance(5.0 + 45.0)

    assert sink.delivered == [n for n in range(40) if n != 13], "in order"
    tried = sum(13 in call for call in sink.calls)
    assert sink.dead == [([13], "ValueError", tried)]


@both_faces
def test_a_bad_item_is_given_up_when_what_is_pushed_behind_it_goes_through(
    buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    queue = buffers.queue(processor=sink, retry=CALM, dead_letter=sink.bury)
    sink.bad = {1: ValueError("bad")}
    queue.push(1)
    clock.advance(1000.0)
    assert queue.size() == 1
    queue.push(2)

    clock.advance(1000.0)

    assert [dead[0] for dead in sink.dead] == [[1]]
    assert sink.delivered == [2]


@both_faces
def test_a_map_carries_the_newest_through_an_outage_and_gives_up_what_was_tried(
    buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    def process(entries: list[Entry[str, Any]]) -> None:
        sink([(entry.key, entry.value) for entry in entries])

    mapped = buffers.map(processor=process, retry=CALM, dead_letter=sink.bury)
    sink.down = ConnectionError("down")
    for key in "abc":
        mapped.put(key, 1)
    clock.advance(100.0)
    mapped.put("b", 2)
    sink.down, sink.bad = None, {("a", 1): ValueError("bad")}
    clock.advance(400.0)

    assert sink.delivered == [("b", 2), ("c", 1)]
    assert [items for items, *_ in sink.dead] == [[Entry("a", 1, 0, 0)]]


@both_faces
def test_a_value_put_while_its_older_one_is_bad_is_tried(
    buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    def process(entries: list[Entry[str, Any]]) -> None:
        sink([(entry.key, entry.value) for entry in entries])

    mapped = buffers.map(processor=process, retry=CALM, dead_letter=sink.bury)
    sink.bad = {("a", 1): ValueError("bad")}
    mapped.put("a", 1)
    clock.advance(20.0)
    mapped.put("a", 2)
    clock.advance(60.0)

    assert sink.delivered == [("a", 2)]
    assert sink.dead == []


# --- what a processor can say ---------------------------------------------------------------------


@both_faces
@pytest.mark.parametrize("named", ["items", "mapping", "places"])
def test_three_bad_lines_in_a_bulk_request_of_a_thousand_dead_letter_three(
    named: str, buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    bad = [17, 18, 900]

    def bulk(batch: list[int]) -> None:
        sink.calls.append(batch)
        lines = [line for line in batch if line in bad]
        sink.delivered += [line for line in batch if line not in bad]
        if named == "items":
            raise PartialFailure(reject=lines)
        if named == "mapping":
            raise PartialFailure(reject={line: ValueError(line) for line in lines})
        raise PartialFailure.at(reject={batch.index(line): "no" for line in lines})

    queue = buffers.queue(processor=bulk, processing_batch_size=1000, dead_letter=sink.bury)
    queue.push_all(range(1000))
    clock.advance(5.0)

    assert len(sink.calls) == 1
    assert [item for items, *_ in sink.dead for item in items] == bad
    assert len(sink.dead) == {"items": 1, "mapping": 3, "places": 3}[named], "one call per error"
    assert len(sink.delivered) == queue.stats().delivered == 997


@both_faces
def test_some_of_a_batch_are_tried_again_others_rejected_and_the_rest_is_delivered(
    buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    def bulk(batch: list[int]) -> None:
        sink.calls.append(list(batch))
        if len(sink.calls) == 1:
            raise PartialFailure(retry=[1, 3, 4], reject=[2, 3])

    queue = buffers.queue(processor=bulk, dead_letter=sink.bury)
    queue.push_all(range(6))
    clock.advance(10.0)

    assert sink.calls == [[0, 1, 2, 3, 4, 5], [1, 4]]
    assert sink.dead == [([2, 3], "PartialFailure", 1)]
    assert queue.stats().delivered == 4


@both_faces
def test_everyone_waits_when_the_destination_says_so(
    buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    queue = buffers.queue(processor=sink, partitions=2, processing_interval=10.0)
    queue.push_all([1, 2])
    sink.down = RetryAfter(100, everyone=True)
    clock.advance(10.0)
    sink.down = None
    calls = len(sink.calls)

    queue.push_all([3, 4])
    clock.advance(95.0)
    assert len(sink.calls) == calls

    clock.advance(20.0)
    assert sorted(sink.delivered) == [1, 2, 3, 4]


@both_faces
@pytest.mark.parametrize("retry", [Retry(attempts=2, jitter=0.0), CALM], ids=["a number", "none"])
def test_an_outage_that_is_said_is_waited_for_and_never_counted(
    retry: Retry, buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    queue = buffers.queue(processor=sink, retry=retry, dead_letter=sink.bury)
    queue.push_all([1, 2, 3, 4])
    sink.down = Outage("down")
    clock.advance(3600.0)

    assert sink.dead == []
    assert all(len(call) == 4 for call in sink.calls), "never in parts"
    assert len(sink.calls) <= 3600 / 60 + 10
    assert queue.stats().held == 4

    sink.down = None
    clock.advance(60.0)
    assert sink.delivered == [1, 2, 3, 4]


@both_faces
def test_an_outage_of_some_items_is_not_counted_against_them(
    buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    down = [Outage("shard 2")] * 9

    def process(batch: list[int]) -> None:
        sink.delivered += [item for item in batch if item != 2 or not down]
        if down and 2 in batch:
            raise PartialFailure(retry={2: down.pop()})

    queue = buffers.queue(processor=process, retry=Retry(attempts=2), dead_letter=sink.bury)
    queue.push_all([1, 2, 3])
    clock.advance(600.0)

    assert (sorted(sink.delivered), sink.dead) == ([1, 2, 3], [])


class Forgetful(RetryAfter):
    def __init__(self, response: str) -> None:
        self.response = response


class Mute(PartialFailure):
    def __init__(self) -> None:
        pass


@both_faces
@pytest.mark.parametrize("error", [Forgetful("429"), Mute()], ids=["later", "partial"])
def test_errors_that_forget_their_init_are_failures_like_others(
    error: BaseException, buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    retry = Retry(attempts=2, wait_initial=1.0)
    queue = buffers.queue(processor=sink, retry=retry, dead_letter=sink.bury)
    sink.down = error
    queue.push(1)
    clock.advance(10.0)

    assert sink.dead == [([1], type(error).__name__, 2)]
    assert queue.stats().restarts == 0


@both_faces
@pytest.mark.parametrize(
    ("error", "calls"), [(Reject(), 1), (ValueError("never"), 1), (RetryAfter(30), 2)]
)
def test_errors_are_seen_inside_groups(
    error: Exception, calls: int, buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    retry = Retry(attempts=4, never=ValueError)
    queue = buffers.queue(processor=sink, retry=retry, dead_letter=sink.bury)
    sink.down = ExceptionGroup("unhandled errors in a TaskGroup", [error])
    queue.push(1)
    clock.advance(5.0 + 31.0)

    assert len(sink.calls) == calls
    assert len(sink.dead) == (calls == 1)


@both_faces
def test_a_batch_that_is_too_large_is_halved_at_once(
    buffers: Buffers, clock: FakeClock, sink: Destination
) -> None:
    def process(batch: list[int]) -> None:
        sink.calls.append(batch)
        if len(batch) > 3:
            raise Split
        sink.delivered.extend(batch)

    queue = buffers.queue(processor=process)
    queue.push_all(range(30))
    clock.advance(5.0)

    assert sink.delivered == list(range(30))
    assert [len(call) for call in sink.calls[:6]] == [10, 5, 2, 3, 5, 2]
    assert all(len(call) == 3 for call in sink.calls[7:13]), "as small as those that went through"


def raised(make: Callable[[], BaseException]) -> None:
    raise make()


def partial() -> BaseException:
    return PartialFailure(retry=[1, 2], reject={3: ValueError("no")})


def later() -> BaseException:
    return RetryAfter(5, everyone=True)


def forgetful() -> BaseException:
    return Forgetful("429")


def test_errors_come_out_of_a_process_pool_as_they_were_raised() -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        errors = [pool.submit(raised, make).exception() for make in (partial, later, forgetful)]

    one, two, three = errors
    assert isinstance(one, PartialFailure)
    assert (one.failed, list(one.reject or ())) == ([1, 2], [3])
    assert isinstance(two, RetryAfter)
    assert (two.seconds, two.everyone) == (5.0, True)
    assert isinstance(three, Forgetful)
    assert three.response == "429"


@pytest.mark.parametrize(
    "error",
    [
        PartialFailure([1]),
        PartialFailure.at({0: OSError()}),
        Outage("down"),
        RetryAfter(5),
        Forgetful("x"),
        Split("too large"),
        Reject("no"),
        Undelivered("left"),
        BufferFull("full"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling_and_copying(error: PartitionedBufferError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert repr(vars(again)) == repr(vars(error))


def test_a_partial_failure_has_to_name_something() -> None:
    with pytest.raises(TypeError, match="expected what has failed"):
        PartialFailure()
    with pytest.raises(TypeError, match="two names for the same"):
        PartialFailure([1], retry=[1])


def test_a_number_is_still_final(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(retry=Retry(attempts=3, wait_initial=1.0, jitter=0.0))
    processor.fail_always(OSError("down"))
    queue.push_all([1, 2])
    clock.advance(60.0)

    assert queue.stats().dead_lettered == 2


@pytest.mark.both_faces
def test_another_retry_takes_effect_at_the_next_attempt(
    buffers: Buffers, processor: RecordingProcessor, clock: FakeClock
) -> None:
    """In an outage one cycle goes on for hours: nobody who retunes wants to wait for its end."""
    dead: list[tuple[list[Any], int]] = []
    queue = buffers.queue(
        retry=Retry(), dead_letter=lambda items, _, attempts: dead.append((items, attempts))
    )
    processor.fail_always(ConnectionError())
    queue.push_all([1, 2])
    clock.advance(3600)
    assert queue.size() == 2

    queue.update_options(retry=Retry(attempts=math.inf, wait_initial=5, multiplier=1, jitter=0))
    clock.advance(120)
    assert queue.size() == 2
    queue.update_options(retry=Retry(attempts=1, split=False))
    clock.advance(5)

    assert [item for items, _ in dead for item in items] == [1, 2]
    assert dead[0][1] > 24, "an attempt each five seconds, and those of before"
    assert queue.stats().dead_lettered == 2


@pytest.mark.both_faces
def test_another_retry_keeps_the_order_and_what_is_behind(
    buffers: Buffers, processor: RecordingProcessor, clock: FakeClock
) -> None:
    queue = buffers.queue(retry=Retry(), processing_batch_size=2)
    processor.fail_always(ConnectionError())
    queue.push_all([1, 2, 3, 4, 5])
    clock.advance(600)
    queue.update_options(retry=Retry(wait_initial=2.0))
    clock.advance(100)
    queue.push(6)
    processor.recover()
    clock.advance(200)

    assert processor.items == [1, 2, 3, 4, 5, 6]
    assert queue.stats().delivered == 6
