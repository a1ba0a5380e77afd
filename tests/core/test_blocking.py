"""Who waits for room: the line, whom it lets in, and writes of more than fits."""

from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers, in_thread, key_of, let_time_pass, unwoken, wait_until

from partitioned_buffer import BufferFull, BufferNotRunning, Queue, Retry
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor

pytestmark = pytest.mark.both_faces


def wait_until_blocked(buffer: Any, count: int = 1) -> None:
    wait_until(lambda: buffer.stats().blocked == count)


# --- block -------------------------------------------------------------------------


def test_a_blocked_writer_goes_on_when_there_is_room(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2, flush_at=2)
    processor.block()
    queue.push_all([1, 2])
    processor.wait_for_call()
    threads = [in_thread(lambda n=n: queue.push(n))[0] for n in (3, 4)]  # type: ignore[misc]
    wait_until_blocked(queue, 2)
    processor.unblock()
    for thread in threads:
        thread.join(30)

    assert not any(thread.is_alive() for thread in threads)
    clock.advance(5.0)
    assert sorted(processor.items) == [1, 2, 3, 4]
    assert queue.stats().blocked == 0


def test_a_blocked_writer_gives_up_after_its_timeout(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=1, block_timeout=3.0, processing_interval=100.0)
    processor.fail_always(OSError())
    queue.push(1)

    with pytest.raises(BufferFull, match=r"was full for 3.0 s \(max_size=1\): its processor"):
        queue.push(2)

    assert clock.monotonic() == 3.0
    assert queue.size() == 1
    assert queue.stats().blocked == 0


@pytest.mark.parametrize("kind", ["queue", "map"])
def test_who_waits_for_room_has_what_is_held_delivered_before_its_time(
    kind: str, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    buffer: Any = getattr(buffers, kind)(max_size=2, processing_interval=100.0)
    write = buffer.push if kind == "queue" else lambda number: buffer.put(number, "value")
    for number in (1, 2, 3):
        write(number)

    assert clock.monotonic() == 0.0
    clock.settle()  # who was woken for the third may have come to find it there
    at_once = [key_of(item) for item in processor.items]
    assert at_once in ([1, 2], [1, 2, 3])
    write(4)
    clock.advance(99.0)
    assert len(processor.items) == len(at_once), "nobody waits any more"
    clock.advance(1.0)
    assert len(processor.items) == 4


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("policy", ["block", "raise", "drop_newest", "drop_oldest"])
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("kind", ["queue", "map"])
def test_a_full_buffer_has_what_is_held_delivered_before_its_time_though_nobody_waits(
    kind: str,
    many: bool,
    policy: str,
    partitions: int,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    options: dict[str, Any] = {"block_timeout": 0} if policy == "block" else {}
    options |= {"partitions": partitions, "processing_interval": 100.0}
    buffer: Any = getattr(buffers, kind)(max_size=9, when_full=policy, **options)

    def write(*numbers: int) -> None:
        if kind == "queue":
            buffer.push_all(numbers) if many else [buffer.push(number) for number in numbers]
        else:
            buffer.put_all([(number, number) for number in numbers])

    at_once = (8, 9, 10) if policy == "block" else (8, 9)  # it may look when there is room
    write(*range(9))
    clock.settle()
    assert processor.items == [], "it has yet to be found full"
    for more in (9, 10):
        try:
            write(more)
        except BufferFull:
            assert policy in ("block", "raise")
        clock.settle()
        assert len(processor.items) in at_once, "once: there is room now"
    assert clock.monotonic() == 0.0

    clock.advance(100.0)
    stats = buffer.stats()
    assert stats.delivered == len(processor.items) == stats.accepted - stats.dropped
    assert stats.dropped == (1 if policy.startswith("drop") else 0)


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
def test_what_a_stop_left_is_tried_as_soon_as_it_fills_the_buffer(
    policy: str, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2, when_full=policy, processing_interval=100.0)
    queue.push_all([1, 2])
    processor.fail_always(OSError())
    assert queue.stop().left == (1, 2)
    processor.recover()
    queue.start()
    clock.settle()
    processor.batches.clear()
    queue.push(3)
    clock.settle()

    assert set(processor.items) < {1, 2, 3}
    assert processor.items


def test_a_block_timeout_of_nothing_is_raise(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=1, block_timeout=0)
    processor.block()  # the worker is woken all the same, and might make room in time
    queue.push(1)
    with pytest.raises(BufferFull):
        queue.push(2)
    processor.unblock()


def test_blocked_writers_get_an_error_when_the_buffer_stops(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2)
    processor.block()
    queue.push_all([1, 2])
    blocked = [in_thread(lambda: queue.push(3)), in_thread(lambda: queue.push_all([4, 5]))]
    wait_until_blocked(queue, 2)
    report = queue.stop(timeout=0)
    for thread, outcome in blocked:
        thread.join(30)
        assert isinstance(outcome[0], BufferNotRunning)

    assert report.left == (1, 2)
    assert queue.stats().accepted == 2


def test_a_writer_that_gives_up_lets_the_next_one_in(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=3, block_timeout=2.0, processing_interval=100.0)
    processor.fail_always(OSError())
    queue.push(1)
    big, big_outcome = in_thread(lambda: queue.push_all([2, 3, 4]))
    wait_until_blocked(queue)
    clock.settle()  # else it may be in line, and wait only from the next jump on
    clock.jump(1.0)
    small, small_outcome = in_thread(lambda: queue.push(5))
    wait_until_blocked(queue, 2)
    clock.settle()
    clock.jump(1.0)
    big.join(30)
    small.join(30)

    assert isinstance(big_outcome[0], BufferFull)
    assert small_outcome == [None]
    assert queue.size() == 2


def test_push_all_of_more_than_fits_goes_in_by_parts(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=4, processing_batch_size=3)
    queue.push_all(range(11))  # this thread's waiting lets the clock run
    clock.advance(5.0)

    assert processor.items == list(range(11))
    assert all(len(batch) <= 3 for batch in processor.batches)


def test_push_all_by_parts_says_how_much_went_in(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=4, block_timeout=12.0, processing_interval=5.0)
    processor.fail(*[OSError()] * 100)
    with pytest.raises(BufferFull, match=r"4 of 11 items of this call were accepted"):
        queue.push_all(range(11))

    assert queue.stats().accepted == 4


@pytest.mark.threads
def test_a_worker_does_not_wait_for_itself(
    buffers: Buffers, clock: FakeClock, hook: RecordingHook
) -> None:
    errors: list[Exception] = []

    def feedback(batch: list[int]) -> None:
        if len(errors) < 3:
            try:
                queue.push_all([1, 2, 3])
            except BufferFull as error:
                errors.append(error)
                raise

    queue = buffers.queue(max_size=2, processor=feedback)
    queue.push(1)
    clock.advance(60.0)

    assert "would wait for itself" in str(errors[0])
    assert queue.stats().held == 0


# --- writers in line, and writes of many -------------------------------------------


@pytest.mark.threads
def test_who_has_been_let_in_need_not_stand_in_line_for_each_of_many(stood: list[int]) -> None:
    with Queue[int]("q", len, partitions=1, max_size=100, processing_batch_size=50) as queue:
        writers = [in_thread(lambda: [*map(queue.push, range(500))])[0] for _ in range(4)]
        for writer in writers:
            writer.join(60)

    assert queue.stats().delivered == 2000
    assert len(stood) < 1000


@pytest.mark.threads
def test_those_in_line_may_wait_for_more_bytes_together_than_a_machine_counts() -> None:
    taken: list[int] = []
    huge: dict[str, Any] = {"max_bytes": 2**62, "size_of": lambda _: 2**62}
    with Queue("q", taken.extend, partitions=1, processing_interval=1000.0, **huge) as queue:
        unwoken(queue)
        queue.push(0)
        writers = [in_thread(lambda n=n: queue.push(n)) for n in (1, 2, 3)]  # type: ignore[misc]
        wait_until_blocked(queue, 3)
        for left in (2, 1, 0):
            queue.flush()
            wait_until_blocked(queue, left)
        for thread, _ in writers:
            thread.join(30)

    assert [outcome for _, outcome in writers] == [[None]] * 3
    assert sorted(taken) == [0, 1, 2, 3]


@pytest.mark.parametrize("measure", ["max_size", "max_bytes"])
@pytest.mark.parametrize("kind", ["queue", "map"])
def test_blocked_writers_write_in_the_order_they_came(
    kind: str, measure: str, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    options: dict[str, Any] = {measure: 1, "flush_at": 1}
    options |= {"size_of": lambda _: 1} if measure == "max_bytes" else {}
    buffer: Any = getattr(buffers, kind)(**options)
    write = buffer.push if kind == "queue" else lambda number: buffer.put(number, "value")
    processor.block()
    write(0)
    processor.wait_for_call()
    writers = []
    for number in range(1, 8):
        writers.append(in_thread(lambda number=number: write(number)))  # type: ignore[misc]
        wait_until_blocked(buffer, number)
    processor.unblock()
    for thread, outcome in writers:
        let_time_pass(clock, until_end_of=thread, by=5.0)
        assert outcome == [None]
    buffer.flush()

    assert [getattr(item, "key", item) for item in processor.items] == list(range(8))
    stats = buffer.stats()
    assert (stats.accepted, stats.delivered, stats.blocked) == (8, 8, 0)


def test_blocked_writers_give_up_one_by_one_and_nothing_of_theirs_is_accepted(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2, block_timeout=3.0, processing_interval=100.0)
    processor.fail_always(OSError())
    queue.push_all([1, 2])
    early = in_thread(lambda: queue.push_all([3, 4]))
    wait_until_blocked(queue)
    clock.settle()  # else it may be in line, and wait only from the next jump on
    clock.jump(1.0)
    late = in_thread(lambda: queue.push(5))
    wait_until_blocked(queue, 2)
    clock.settle()

    clock.jump(2.0)
    early[0].join(60)
    assert isinstance(early[1][0], BufferFull)
    assert (late[0].is_alive(), queue.stats().blocked) == (True, 1)
    clock.settle()  # for it has looked again
    clock.jump(1.0)
    late[0].join(60)
    assert isinstance(late[1][0], BufferFull)

    processor.recover()
    queue.flush()
    assert processor.items == [1, 2]
    assert queue.stats().accepted == 2
    queue.push_all([6, 7])
    assert queue.size() == 2, "what they waited for is there for others"


LARGE = list(range(11))
TOO_LARGE = {  # what is delivered of 11 items in one write, where 4 have room
    "block": LARGE,
    "raise": [],
    "drop_newest": LARGE[:4],
    "drop_oldest": LARGE[-4:],
}


@pytest.mark.parametrize("policy", TOO_LARGE)
@pytest.mark.parametrize("measure", ["max_size", "max_bytes"])
@pytest.mark.parametrize("kind", ["queue", "map", "map of versions"])
def test_a_write_of_more_than_the_bound(
    kind: str,
    measure: str,
    policy: str,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    options: dict[str, Any] = {"max_size": 4}
    if measure == "max_bytes":
        options = {"max_bytes": 12, "size_of": lambda _: 3}
    buffer: Any = getattr(buffers, kind.split(maxsplit=1)[0])(when_full=policy, **options)
    if policy != "block":
        unwoken(buffer)
    writes: dict[str, Callable[[], None]] = {
        "queue": lambda: buffer.push_all(LARGE),
        "map": lambda: buffer.put_all((number, "value") for number in LARGE),
        "map of versions": lambda: buffer.put_all_newer((n, "value", 1) for n in LARGE),
    }
    if policy == "raise":
        with pytest.raises(BufferFull, match="one write of more than"):
            writes[kind]()
    else:
        writes[kind]()  # where it blocks, this thread's waiting lets the clock run
    buffer.flush()

    assert [getattr(item, "key", item) for item in processor.items] == TOO_LARGE[policy]
    stats = buffer.stats()
    assert stats.accepted == (0 if policy == "raise" else 11)
    assert stats.dropped == (7 if policy.startswith("drop") else 0)
    room = buffer._admission.room
    assert (room.used, room.used_bytes) == room.recount() == (0, 0)


def test_a_write_by_parts_is_cut_off_by_a_stop_and_says_how_much_went_in(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=4)
    processor.fail_always(OSError())
    thread, outcome = in_thread(lambda: queue.push_all(range(11)))
    wait_until_blocked(queue)

    assert queue.stop(timeout=1.0).left == (0, 1, 2, 3)
    thread.join(60)
    assert isinstance(outcome[0], BufferNotRunning)
    assert "4 of 11 items of this call were accepted" in str(outcome[0])
    assert queue.stats().accepted == 4


class Circle:
    """Two buffers: the processor of each writes to the other, until an item has hopped enough."""

    def __init__(self, *options: dict[str, Any]) -> None:
        self.done, self.dead = list[int](), list[int]()
        self.buffers: list[Queue[tuple[int, int]]] = []
        for place, each in enumerate(options):
            made: dict[str, Any] = {"processing_batch_size": 1, "processing_interval": 0.001} | each
            queue = Queue(
                f"circle {place}", self._to(1 - place), partitions=1, dead_letter=self._bury, **made
            )
            self.buffers.append(queue.start())

    def _to(self, other: int) -> Any:
        def processor(batch: list[tuple[int, int]]) -> None:
            for hops, item in batch:
                if hops:
                    self.buffers[other].push((hops - 1, item))
                else:
                    self.done.append(item)

        return processor

    def _bury(self, items: list[tuple[int, int]], _error: BaseException, _attempts: int) -> None:
        self.dead += [item for _, item in items]

    def write(self, item: int) -> None:
        try:
            self.buffers[item % 2].push((3, item))
        except BufferFull:
            self.dead.append(item)


GIVES_UP = {
    "max_size": 2,
    "block_timeout": 0.001,
    "retry": Retry(attempts=2, wait_initial=0.001),
}


@pytest.mark.threads
@pytest.mark.parametrize(
    ("first", "second"), [({"max_size": 2}, {}), (GIVES_UP, GIVES_UP)], ids=["no bound", "gives up"]
)
def test_a_circle_of_buffers_goes_on_as_the_guide_says(first: Any, second: Any) -> None:
    """Both full, each would wait for room that only the other one could make."""
    circle = Circle(first, second)
    for item in range(20):
        circle.write(item)
    wait_until(lambda: len(circle.done) + len(circle.dead) >= 20)

    assert sorted(circle.done + circle.dead) == list(range(20))
    assert circle.dead == [] or second
    assert [buffer.stop().left for buffer in circle.buffers] == [(), ()]
