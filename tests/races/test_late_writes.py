"""Writes that come when a buffer stops: each is accepted whole, or refused whole, and told so."""

import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from helpers import Buffers, in_thread, often_switched, rounds
from implementations import opened

from partitioned_buffer import BufferNotRunning
from partitioned_buffer.testing import FakeClock, RecordingProcessor

MADE = 0
ONE = object()  # every writer writes the very same

SINGLE = {
    "queue": lambda buffer, key: buffer.push(ONE, partition_key=key),
    "map": lambda buffer, key: buffer.put("one", ONE, partition_key=key),
}
MANY = {
    "queue": lambda buffer, key: buffer.push_all(["a", ONE, "b"], partition_key=key),
    "map": lambda buffer, key: buffer.put_all(
        [("a", 1), ("one", ONE), ("b", 1)], partition_key=key
    ),
}


@pytest.fixture
def made(made: Any) -> Iterator[Any]:
    """Both, while threads take turns more often than they do by themselves."""
    with often_switched():
        yield made


def write_until_refused(table: Any, go: threading.Event, *, many: bool) -> tuple[int, int]:
    """Return how many were accepted, and what the last write was told."""
    go.wait(60)
    accepted, outcome = 0, MADE
    while True:
        outcome = table.push_all(["a", ONE, "b"]) if many else table.push(ONE)
        if outcome != MADE:
            return accepted, outcome
        accepted += 3 if many else 1


def test_a_table_that_closes_takes_nothing_out_of_anothers_write(made: Any) -> None:
    for _ in range(rounds(50, least=5)):
        table, go = opened(made.QueueTable()), threading.Event()
        writers = [
            in_thread(partial(write_until_refused, table, go, many=many))
            for many in (True, False, True, False)
        ]
        go.set()
        while len(table) < 100:
            pass
        table.close()
        held = table.held()
        for thread, _ in writers:
            thread.join(60)

        assert table.held() == held, "after the end nothing comes or goes"
        assert sum(outcome[0][0] for _, outcome in writers) == len(held)
        counts = Counter(map(str, held))
        assert counts["a"] == counts["b"]


@pytest.mark.parametrize("first", ["single", "many"])
@pytest.mark.parametrize("kind", ["queue", "map"])
def test_writes_that_were_on_their_way_when_it_stopped_are_refused_each_for_itself(
    kind: str, first: str, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    """Both have found their table by the time it closes, and go on in either order."""
    buffer = getattr(buffers, kind)()
    SINGLE[kind](buffer, None)
    on_their_way = threading.Barrier(3)
    may_go = {"single": threading.Event(), "many": threading.Event()}

    def route(name: str) -> Any:
        met: list[None] = []

        def key(_: object) -> int:
            if not met:
                met.append(None)
                on_their_way.wait(60)
                may_go[name].wait(60)
            return 1

        return key

    writers = {
        "single": in_thread(lambda: SINGLE[kind](buffer, route("single"))),
        "many": in_thread(lambda: MANY[kind](buffer, route("many"))),
    }
    on_their_way.wait(60)
    report = buffer.stop()
    for name in sorted(writers, key=lambda name: name != first):
        may_go[name].set()
        writers[name][0].join(60)

    assert report.left == ()
    assert [type(told[0]) for _, told in writers.values()] == [BufferNotRunning] * 2
    assert (buffer.size(), buffer.stats().accepted, buffer.stats().delivered) == (0, 1, 1)
    buffer.start()
    buffer.stop()
    assert len(processor.items) == 1


@pytest.mark.both_faces
@pytest.mark.parametrize("down", [False, True])
def test_what_was_accepted_while_it_stopped_is_delivered_or_left(
    down: bool, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=1000)
    push = getattr(queue, "push_nowait", queue.push)
    push_all = getattr(queue, "push_all_nowait", queue.push_all)
    if down:
        processor.fail_always(OSError())
    enough, accepted = threading.Barrier(5), [0] * 4

    def write(me: int) -> None:
        many = bool(me % 2)
        for number in range(10**9):
            if number == 20:
                enough.wait(60)
            if many:
                push_all(["a", ONE, "b"])
            else:
                push(ONE)
            accepted[me] += 3 if many else 1

    writers = [in_thread(lambda me=me: write(me)) for me in range(4)]  # type: ignore[misc]
    enough.wait(60)
    report = queue.stop()
    for thread, outcome in writers:
        thread.join(60)
        assert type(outcome[0]) is BufferNotRunning

    assert sum(accepted) == queue.stats().accepted
    assert len(processor.items) + len(report.left) == sum(accepted)
    assert queue.size() == len(report.left)
    counts = Counter(map(str, [*processor.items, *report.left]))
    assert counts["a"] == counts["b"]
