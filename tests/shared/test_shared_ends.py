"""Flushes, stops, blocks, exits and forks of a shared Queue."""

import os
import threading
import time
from typing import Any

import pytest
from forks import Child, run
from helpers import in_thread, wait_until
from shares import Gate, Shares, keys_in, shared_terms

from partitioned_buffer import BufferNotRunning, Queue, StorageAway, Undelivered, WrongThread
from partitioned_buffer.testing import RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict

pytestmark = [
    pytest.mark.both_faces,
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
AWAY = StorageAway("the net is down")


# --- flush -------------------------------------------------------------------------


def test_a_flush_returns_when_workers_here_have_settled_all(shares: Shares) -> None:
    shares.new(partitions=3)
    one = RecordingProcessor()
    queue = shares.queue(one, flush_at=None, processing_interval=60.0)
    queue.push_all(range(20), partition_key=lambda item: item)
    queue.flush(30.0)
    assert sorted(one.items) == list(range(20))
    assert shares.shared.held() == queue.size() == 0
    assert queue.stats().delivered == 20


def test_a_flush_waits_for_workers_elsewhere_and_hurries_them(shares: Shares) -> None:
    one = RecordingProcessor()
    shares.elsewhere(one, flush_at=None, processing_interval=3600.0)
    queue = shares.queue()
    queue.push_all(range(5))
    queue.flush(60.0)
    assert one.items == list(range(5))
    assert queue.stats().delivered == 5


def test_a_flush_that_takes_too_long_says_how_much_is_held(shares: Shares) -> None:
    queue = shares.queue()
    queue.push_all([1, 2])
    with pytest.raises(TimeoutError, match="2 items are held"):
        queue.flush(2.0)
    shares.shared.fails = AWAY
    queue.push(3)
    with pytest.raises(TimeoutError, match="3 items are held"):
        queue.flush(2.0)
    shares.shared.fails = None
    one = RecordingProcessor()
    shares.elsewhere(one)
    queue.flush(30.0)
    assert one.items == [1, 2, 3]


def test_a_flush_does_not_wait_for_what_came_after_it(shares: Shares) -> None:
    queue = shares.queue()
    queue.push(1)
    shares.holds(1)
    one = RecordingProcessor()

    def more(batch: list[int]) -> None:
        one(batch)
        if len(one.items) < 100:
            queue.buffer.push_nowait(0) if hasattr(queue, "buffer") else queue.push(0)

    shares.elsewhere(one)
    thread, outcome = in_thread(lambda: queue.flush(60.0))
    shares.seen(lambda: not thread.is_alive())
    assert outcome == [None]


def test_a_pump_has_a_rest_while_a_stop_waits_for_a_call(
    shares: Shares, processor: RecordingProcessor
) -> None:
    """There are partitions that it could claim, and will not any more."""
    shares.new(partitions=2)
    assert shares.shared.another().share(shared_terms()).claim(1) is not None
    queue = shares.queue(processor)
    processor.block()
    queue.push(1, partition_key=keys_in(queue, 0)[0])
    processor.wait_for_call()
    sharing = queue._admission.sharing
    thread, _ = in_thread(queue.stop)
    wait_until(lambda: sharing.is_stopping)
    shares._clock.jump(1.0)
    (pump,) = sharing.pumps
    assert pump._pause(sharing.store) > 0
    processor.unblock()
    thread.join(60)


@pytest.mark.threads
@pytest.mark.parametrize("call", ["flush", "stop"])
def test_a_start_that_was_interrupted_at_its_very_end_can_be_stopped(
    shares: Shares, processor: RecordingProcessor, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = shares.queue(processor, start=False)
    sharing = queue._admission.sharing

    def interrupted() -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(sharing, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        queue.start()
    began = shares._clock.monotonic()
    thread, outcome = in_thread(getattr(queue, call))
    shares.seen(lambda: not thread.is_alive())
    assert not any(isinstance(each, Exception) for each in outcome)
    assert shares._clock.monotonic() - began < 10.0


def test_a_flush_in_the_middle_of_a_stop_fails(shares: Shares) -> None:
    queue = shares.queue()
    queue.push(1)
    shares.holds(1)
    thread, outcome = in_thread(queue.flush)  # nobody delivers
    wait_until(lambda: bool(queue._admission.sharing.clerk._flushes))
    queue.stop()
    thread.join(60)
    assert [type(each) for each in outcome] == [BufferNotRunning]


def test_a_flush_that_comes_after_the_clerk_has_ended_fails(shares: Shares) -> None:
    queue = shares.queue()
    backing = queue._admission.sharing
    flush, began, goes_on = backing.flush, threading.Event(), threading.Event()

    def late(countdown: Any) -> None:
        began.set()
        goes_on.wait(60)
        flush(countdown)

    backing.flush = late
    if shares._kinds["queue"] is not Queue:
        pytest.skip("a task flushes on the loop that stops")
    thread, outcome = in_thread(queue.flush)
    began.wait(60)
    clerk = backing.clerk
    queue.stop()
    wait_until(lambda: clerk._has_ended)
    goes_on.set()
    thread.join(60)
    assert [type(each) for each in outcome] == [BufferNotRunning]


def test_many_flushes_at_once_all_return(shares: Shares) -> None:
    one = RecordingProcessor()
    shares.elsewhere(one)
    queue = shares.queue()
    for turn in range(20):
        queue.push(turn)
        flushes = [in_thread(lambda: queue.flush(60.0)) for _ in range(3)]
        shares.seen(lambda now=flushes: not any(thread.is_alive() for thread, _ in now))  # type: ignore[misc]
        assert [outcome for _, outcome in flushes] == [[None]] * 3


def test_a_flush_ends_though_the_server_forgets_what_it_was_to_wait_for(shares: Shares) -> None:
    queue = shares.queue()
    queue.push_all([1, 2])
    shares.holds(2)
    thread, outcome = in_thread(queue.flush)
    wait_until(lambda: bool(queue._admission.sharing.clerk._flushes))
    shares._clock.advance(0.2)
    shares.shared.forgets(2)
    shares.seen(lambda: not thread.is_alive())
    assert outcome == [None]


def test_a_processor_cannot_flush_or_stop_its_own_buffer(shares: Shares) -> None:
    raised: list[BaseException] = []

    def wait_for_itself(_batch: list[int]) -> None:
        for call in (queue.buffer if hasattr(queue, "buffer") else queue,):
            try:
                outcome = call.flush()
                outcome.send(None)
            except BaseException as error:
                raised.append(error)

    queue = shares.queue(wait_for_itself)
    queue.push(1)
    shares.seen(lambda: shares.shared.held() == 0 and bool(raised))
    assert isinstance(raised[0], WrongThread)


# --- stop ---------------------------------------------------------------------------


def test_a_stop_finishes_what_the_processor_has_and_gives_the_rest_back(shares: Shares) -> None:
    one, two = RecordingProcessor(), RecordingProcessor()
    shares.fill(*range(6))
    one.block()
    queue = shares.queue(one, processing_batch_size=2)
    one.wait_for_call()
    thread, outcome = in_thread(lambda: queue.stop(60.0))
    (window,) = queue._admission.sharing.pumps[0].windows.values()
    wait_until(lambda: window.gives_back)
    one.unblock()
    shares.seen(lambda: not thread.is_alive())
    (report,) = outcome
    assert (report.delivered, report.left) == (2, ())
    assert one.items == [0, 1]
    assert [h.what for h in shares.shared.history][-1] == "release"
    shares.elsewhere(two)
    shares.delivered(two, 2, 3, 4, 5)


def test_a_stop_reports_what_was_delivered_since(shares: Shares) -> None:
    one = RecordingProcessor()
    queue = shares.queue(one)
    queue.push_all(range(10))
    queue.flush(30.0)
    report = queue.stop()
    assert (report.delivered, report.dead_lettered, report.left) == (0, 0, ())


@pytest.mark.threads
@pytest.mark.parametrize("calls", [(), ("append",), ("step",), ("beat",), ("depth",)])
def test_a_stop_is_over_in_time_while_the_server_says_nothing(
    calls: tuple[str, ...],
) -> None:
    gate, shared = Gate(*calls), SharedDict(partitions=2, lease=1.0)
    queue: Queue[int] = Queue("in time", RecordingProcessor(), storage=shared, flush_at=1).start()
    queue.push(1)
    queue.flush(60.0)
    shared.on_call = gate
    queue.push(2)
    if calls != ("append",):
        gate.entered.wait(5)
    began = time.monotonic()
    report = queue.stop(0.5)
    took = time.monotonic() - began
    assert took < 0.5 + 0.4
    assert len(report.left) <= 1
    gate.open()
    shared.on_call = None


@pytest.mark.threads
def test_a_start_after_a_stop_that_hung_is_refused_until_the_call_is_back() -> None:
    gate, shared = Gate("append"), SharedDict(partitions=1)
    queue: Queue[int] = Queue("hung", None, storage=shared).start()
    shared.on_call = gate
    queue.push(1)
    gate.entered.wait(60)
    assert list(queue.stop(0).left) == [1]
    gate.open()
    shared.on_call = None
    wait_until(lambda: queue._run.has_ended)
    queue.start()
    queue.push(2)
    wait_until(lambda: shared.held() == 2)
    assert queue.stop().left == ()
    assert shared.appended == 2


# --- blocks, exits, forks ---------------------------------------------------------------


@pytest.mark.threads
def test_a_block_hands_what_is_not_on_the_server_to_dead_letter_as_items() -> None:
    dead: list[Any] = []
    shared = SharedDict(partitions=1)

    def keep(items: list[Any], error: BaseException, _attempts: int) -> None:
        assert isinstance(error, Undelivered)
        dead.extend(items)

    queue: Queue[Any] = Queue("block", None, storage=shared, exit_timeout=0.5, dead_letter=keep)
    with queue:
        queue.push("there")
        wait_until(lambda: shared.held() == 1)
        shared.fails = AWAY
        queue.push_all([{"a": 1}, [2]])
    assert dead == [{"a": 1}, [2]]
    assert queue.size() <= 1
    shared.fails = None
    time.sleep(0.1)
    assert shared.held() == 1, "nobody sends what was handed over"


@pytest.mark.threads
def test_the_end_of_a_program_brings_all_to_the_server() -> None:
    program = """
    import atexit
    from partitioned_buffer import Queue
    from partitioned_buffer.testing.sharing import SharedDict
    shared = SharedDict(partitions=2)
    atexit.register(lambda: print(shared.appended, shared.held(), flush=True))
    queue = Queue("exits", None, storage=shared).start()
    queue.push_all(range(100), partition_key=lambda item: item)
    """
    assert run(program).split() == ["100", "100"]


@pytest.mark.threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_is_a_producer_of_its_own() -> None:
    shared = SharedDict(partitions=1)
    queue: Queue[Any] = Queue("forks", None, storage=shared).start()
    queue.push_all(["parent's", "parent's too"])
    wait_until(lambda: shared.held() == 2)

    def live() -> Any:
        shared._server.lock = threading.Lock()
        assert queue.size() == 0
        queue.push("child's")
        report = queue.stop(60.0)
        (child,) = (h.who for h in shared.history[1:] if h.what == "append")
        stats = queue.stats()
        assert stats.balanced
        return [shared.held(), child == shared.history[0].who, len(report.left), stats.shared.gaps]  # type: ignore[union-attr]

    child = Child(live)
    assert child.result() == [3, False, 0, 0]
    queue.push("parent's")
    wait_until(lambda: shared.held() == 3)
    assert queue.stop().left == ()
