"""What a write promises: whole or not at all, its writer's errors, exact bounds, memory."""

import gc
import threading
import time
import weakref
from contextlib import suppress
from typing import Any

import pytest
from helpers import Buffers, in_thread, unwoken, wait_until

from partitioned_buffer import BufferFull, BufferNotRunning, Map, PartialFailure, Queue
from partitioned_buffer._core.waiting.clock import SystemClock
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced

pytestmark = pytest.mark.both_faces


def wait_until_blocked(buffer: Any, writers: int = 1) -> None:
    wait_until(lambda: buffer.stats().blocked == writers)


class Key:
    """A key with `__hash__` and `__eq__` in Python, which can be told to fail, or to do things."""

    def __init__(self, name: object) -> None:
        self.name = name
        self.hash_error: BaseException | None = None
        self.meanwhile: Any = None
        self.asked = 0

    def __hash__(self) -> int:
        self.asked += 1
        if self.hash_error:
            raise self.hash_error
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        self.asked += 1
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return isinstance(other, Key) and self.name == other.name


def test_a_worker_asks_a_key_nothing(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(processing_batch_size=2)
    keys = [Key(name) for name in "abc"]
    mapped.put_all([(key, 1) for key in keys])
    for key in keys:
        key.hash_error = RuntimeError("is not what it was")
        key.asked = 0
    processor.fail(OSError())
    clock.advance(10.0)

    assert [entry.key for entry in processor.items] == keys
    assert not any(key.asked for key in keys)
    assert_balanced(mapped.stats())


@pytest.mark.threads
def test_a_keys_code_may_write_to_the_very_table_that_asks_it(
    buffers: Buffers, clock: FakeClock
) -> None:
    mapped = buffers.map(partitions=1)
    first = Key("a")
    mapped.put(first, 1)
    first.meanwhile = lambda: mapped.put_all([(Key("a"), 2), (Key("b"), 2)])
    mapped.put(Key("a"), 3)

    assert mapped.get(Key("a")) == 3
    assert mapped.get(Key("b")) == 2
    assert (mapped.stats().accepted, mapped.stats().waiting) == (4, 2)


def test_a_table_of_keys_that_run_code_is_given_as_a_dict_too(
    buffers: Buffers, clock: FakeClock
) -> None:
    given: list[Any] = []
    mapped = buffers.map(processor=given.append, processing_batch_size="table")
    mapped.put(Key("a"), 1)
    mapped.put("plain", 2)
    clock.advance(5.0)

    assert len(given) == 1
    assert {getattr(key, "name", key): entry.value for key, entry in given[0].items()} == {
        "a": 1,
        "plain": 2,
    }


def test_what_a_key_raises_where_a_table_is_made_a_dict_has_failed_the_call(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(processing_batch_size="table")
    key = Key("a")
    mapped.put(key, 1)
    key.hash_error = RuntimeError("not now")
    clock.advance(5.0)
    assert mapped.size() == 1
    key.hash_error = None
    clock.advance(10.0)

    assert [entry.key for entry in processor.items] == [key]
    assert mapped.stats().restarts == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
@pytest.mark.parametrize("what", ["merge", "size_of"])
def test_what_comes_out_of_merge_or_size_of_is_the_writers_and_changes_nothing(
    what: str, error: type[BaseException], clock: FakeClock, processor: RecordingProcessor
) -> None:
    armed = False

    def merge(old: int, new: int) -> int:
        if armed and what == "merge":
            raise error
        return old + new

    def size_of(_: object) -> int:
        if armed and what == "size_of":
            raise error
        return 1

    options: dict[str, Any] = {"merge": merge, "max_bytes": 100, "size_of": size_of}
    mapped = Map[str, int]("writers", processor, partitions=1, clock=clock, **options).start()
    mapped.put("a", 1)
    before = mapped.stats()
    armed = True
    with pytest.raises(error):
        mapped.put("a", 2)
    with pytest.raises(error):
        mapped.put_newer("a", 2, 7)
    armed = False

    assert mapped.stats() == before
    mapped.put("a", 4)
    mapped.stop()
    assert processor.items[0].value == 5


def test_a_merge_that_makes_a_value_grow_takes_room_and_never_more_than_there_is(
    buffers: Buffers, clock: FakeClock
) -> None:
    mapped = unwoken(
        buffers.map(merge=lambda old, new: old + new, max_bytes=10, size_of=len, when_full="raise")
    )
    mapped.put("a", "12345")
    mapped.put("b", "123")
    mapped.put("a", "67")
    with pytest.raises(BufferFull):
        mapped.put("b", "4")
    with pytest.raises(BufferFull, match="more bytes than"):
        mapped.put("a", "x" * 9)
    room: Any = mapped._admission.room

    assert (mapped.get("a"), mapped.get("b")) == ("1234567", "123")
    assert room.used_bytes == 10
    clock.advance(5.0)
    assert (room.used, room.used_bytes) == (0, 0)


def test_a_retry_whose_merged_value_has_no_room_delivers_the_two_in_order(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    def merge(old: str, new: str) -> str:
        return (old + new) * 4

    mapped = buffers.map(merge=merge, max_bytes=10, size_of=len)
    processor.fail(OSError())
    mapped.put("a", "123")
    clock.advance(5.0)
    mapped.put("a", "456")
    clock.advance(15.0)

    assert [entry.value for entry in processor.items] == ["123", "456"]
    assert mapped._admission.room.used_bytes == 0  # type: ignore[union-attr]


@pytest.mark.threads
def test_what_is_delivered_or_replaced_is_let_go(buffers: Buffers, clock: FakeClock) -> None:
    class Thing:
        pass

    def thing() -> Any:
        things.append(weakref.ref(made := Thing()))
        return made

    things: list[weakref.ref[Thing]] = []
    queue, mapped = buffers.queue(processor=len), buffers.map(processor=len)
    queue.push_all([thing() for _ in range(25)])
    mapped.put("a", thing())
    mapped.put("a", thing())
    mapped.put_newer("b", thing(), 1)
    mapped.put_newer("b", thing(), 2)
    mapped.put("c", thing())
    mapped.delete("c")
    clock.advance(5.0)
    gc.collect()

    assert [there() for there in things if there() is not None] == []


@pytest.mark.threads
def test_a_finalizer_of_what_is_replaced_may_write_to_the_buffer_and_to_another(
    buffers: Buffers,
) -> None:
    first, second = buffers.map(), buffers.map()

    class Parting:
        def __del__(self) -> None:
            with suppress(BufferNotRunning):  # the last one goes when all is over
                first.put("left", 1)
                second.put("left", 1)

    def overwrite(mapped: Any) -> None:
        for _ in range(2_000):
            mapped.put("key", Parting())

    threads = [threading.Thread(target=overwrite, args=(m,)) for m in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not any(thread.is_alive() for thread in threads)
    assert first.get("left") == second.get("left") == 1


@pytest.mark.threads
@pytest.mark.parametrize("size", [50_000, 200_000])
def test_a_stop_takes_no_longer_for_what_is_held_than_its_delivery(size: int) -> None:
    queue = Queue[int](
        f"held {size}", lambda _: time.sleep(60), partitions=1, processing_interval=1000.0
    ).start()
    queue.push_all(range(size))
    writing, over = threading.Event(), threading.Event()

    def write() -> None:
        while not over.is_set():
            try:
                queue.push(0)
            except Exception:
                return
            finally:
                writing.set()

    threads = [threading.Thread(target=write, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    writing.wait(60)
    began = time.monotonic()
    report = queue.stop(timeout=0.2)
    took = time.monotonic() - began
    over.set()
    for thread in threads:
        thread.join(60)

    assert took < 5.0
    assert len(report.left) == queue.stats().accepted >= size


def test_many_named_by_equal_ones_do_not_hold_up_a_stop(clock: FakeClock) -> None:
    """In a bounded buffer, where writers share the lock with the worker."""
    size, calls = 4_000, 0

    def processor(batch: list[dict[str, int]]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise PartialFailure([dict(item) for item in batch[::2]])

    queue = Queue[dict[str, int]](
        "named", processor, partitions=1, processing_batch_size="table", max_size=size, clock=clock
    ).start()
    queue.push_all([{"id": number} for number in range(size)])
    began = time.monotonic()
    report = queue.stop()

    assert time.monotonic() - began < 10.0
    assert report.left == ()
    assert queue.stats().delivered == size


# --- writers in line ------------------------------------------------------------


def test_writers_are_let_in_in_the_order_they_came(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2, clock=SystemClock(), processing_batch_size=1)
    processor.block()
    queue.push_all([0, 1])
    threads = []
    for number in range(2, 6):
        threads.append(in_thread(lambda n=number: queue.push(n))[0])  # type: ignore[misc]
        wait_until_blocked(queue, number - 1)
    processor.unblock()
    for thread in threads:
        thread.join(60)
    queue.flush(timeout=60)

    assert processor.items == [0, 1, 2, 3, 4, 5]


def test_while_others_stand_in_line_nobody_takes_new_room_but_known_keys_need_none(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(max_size=2, clock=SystemClock(), block_timeout=30.0)
    processor.block()
    mapped.put_all({"a": 1, "b": 1})
    waiting, outcome = in_thread(lambda: mapped.put_all({"c": 1, "d": 1}))
    wait_until_blocked(mapped)
    mapped.delete("nothing")  # which takes no room, nor gives any
    mapped.put_newer("a", 0, -1)
    assert mapped.stats().blocked == 1
    processor.unblock()
    waiting.join(60)
    mapped.flush(timeout=60)

    assert outcome == [None]
    assert mapped.stats().delivered == 4


def test_room_is_exact_after_writes_of_all_kinds_that_failed_midway(
    buffers: Buffers, clock: FakeClock
) -> None:
    mapped = buffers.map(max_size=5, when_full="raise", partitions=3)
    room: Any = mapped._admission.room
    bad = Key("bad")
    bad.hash_error = ValueError("no")
    for _ in range(10):
        with pytest.raises(ValueError, match="no"):
            mapped.put(bad, 1)
        with pytest.raises(ValueError, match="no"):
            mapped.put_all([("a", 1), (bad, 1)])
        with pytest.raises(BufferFull):
            mapped.put_all({number: number for number in range(6)})
    assert (room.used, room.recount()) == (0, (0, 0))
    mapped.put_all({number: number for number in range(5)})

    assert mapped.size() == room.used == 5


def test_a_writer_that_is_gone_is_in_line_no_more(buffers: Buffers, clock: FakeClock) -> None:
    queue = buffers.queue(max_size=1, clock=SystemClock(), processing_interval=1000.0)
    buffer: Any = getattr(queue, "buffer", queue)
    admission = buffer._admission
    table = buffer._partitions[0].table
    buffer._wake_workers = lambda: None
    table.push("full")
    steps = admission.steps(table, table.push("more"), "push", ("more",))
    next(steps)
    assert queue.stats().blocked == admission.room.line == 1
    del steps

    assert queue.stats().blocked == admission.room.line == 0
