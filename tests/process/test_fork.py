"""What a forked child does with the buffers it finds, and what its parent notices: nothing."""

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from forks import PATIENCE, Child, run

import partitioned_buffer
from partitioned_buffer import BufferNotRunning, Queue
from partitioned_buffer.testing import assert_balanced

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
    # Python 3.12 warns of what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


# --- in the middle of something ------------------------------------------------


def deliver_own(buffer: Any, delivered: list[Any]) -> Callable[[], list[Any]]:
    """Return what a child does to see that it delivers its own item, and nothing else."""

    def live() -> list[Any]:
        delivered.clear()
        buffer.push(f"child's of {os.getpid()}")
        buffer.stop(timeout=PATIENCE)
        stats = buffer.stats()
        assert_balanced(stats)
        assert stats.accepted == stats.delivered == 1
        assert delivered == [f"child's of {os.getpid()}"]
        return delivered

    return live


def test_a_child_forked_in_the_middle_of_a_processor_call_delivers_its_own_alone() -> None:
    delivered: list[Any] = []
    entered, leave, parent = threading.Event(), threading.Event(), os.getpid()

    def processor(batch: list[str]) -> None:
        if os.getpid() == parent:
            entered.set()
            leave.wait(PATIENCE)
        delivered.extend(batch)

    queue = Queue("forked", processor, partitions=1, flush_at=1).start()
    queue.push("parent's")
    entered.wait(PATIENCE)
    queue.push("parent's too")

    Child(deliver_own(queue, delivered)).result()
    leave.set()
    queue.stop()

    assert delivered == ["parent's", "parent's too"]
    assert_balanced(queue.stats())
    assert queue.stats().delivered == queue.stats().accepted == 2


@pytest.mark.parametrize("kind", ["processor", "hook", "dead letter handler"])
def test_a_child_forked_by_a_worker_delivers_its_own_alone(kind: str) -> None:
    delivered: list[Any] = []
    children: list[Any] = []
    parent = os.getpid()

    def fork(*_: object) -> None:
        if os.getpid() == parent and not children:
            children.append(Child(deliver_own(queue, delivered)))

    def processor(batch: list[str]) -> None:
        if kind == "processor":
            fork()
        if kind == "dead letter handler" and os.getpid() == parent:
            raise partitioned_buffer.Reject
        delivered.extend(batch)

    hooks = [fork] if kind == "hook" else []
    queue = Queue("forked", processor, partitions=1, hooks=hooks, dead_letter=fork).start()
    queue.push_all(["parent's", "parent's too"])
    queue.flush(timeout=PATIENCE)
    queue.stop()

    assert children[0].result() == [f"child's of {children[0].pid}"]
    stats = queue.stats()
    assert_balanced(stats)
    assert delivered == ([] if stats.dead_lettered else ["parent's", "parent's too"])
    assert stats.accepted == stats.delivered + stats.dead_lettered == 2


def test_a_child_that_returns_from_the_processor_is_not_a_second_worker() -> None:
    program = """
    import os, threading, warnings
    from partitioned_buffer import Queue
    warnings.simplefilter("ignore")
    child = None

    def processor(batch):
        global child
        print(os.getpid() == parent, batch, flush=True)
        if child is None:
            child = os.fork()
            if not child:
                queue.push("child's")
                queue.flush(60)

    parent = os.getpid()
    queue = Queue("forked", processor, partitions=1, processing_batch_size=1)
    queue.start()
    queue.push_all(["first", "second", "third"])
    queue.flush(60)
    queue.stop()
    os.waitpid(child, 0)
    print(queue.stats().delivered, queue.stats().balanced)
    """

    assert sorted(run(program).splitlines()) == sorted(
        [
            "True ['first']",
            'False ["child\'s"]',
            "True ['second']",
            "True ['third']",
            "3 True",
        ]
    )


def test_a_child_forked_while_its_parent_stops_finds_the_buffer_stopped_and_its_name_free() -> None:
    delivered: list[Any] = []
    entered, leave, parent = threading.Event(), threading.Event(), os.getpid()

    def processor(batch: list[str]) -> None:
        if os.getpid() == parent:
            entered.set()
            leave.wait(PATIENCE)
        delivered.extend(batch)

    queue = Queue("forked", processor, partitions=1).start()
    queue.push("parent's")
    stopper = threading.Thread(target=queue.stop)
    stopper.start()
    entered.wait(PATIENCE)

    def live() -> None:
        delivered.clear()
        with pytest.raises(BufferNotRunning, match="has been stopped"):
            queue.push("child's")
        with pytest.raises(partitioned_buffer.BufferNotFound):
            partitioned_buffer.get("forked")
        with Queue("forked", processor) as other:
            other.push("child's")
        queue.start()
        deliver_own(queue, delivered)()

    Child(live).result()
    leave.set()
    stopper.join()

    assert delivered == ["parent's"]
    assert_balanced(queue.stats())
    assert queue.stats().delivered == 1


def test_what_a_stopped_buffer_has_left_stays_the_parents() -> None:
    delivered: list[Any] = []
    errors = [OSError()]

    def processor(batch: list[str]) -> None:
        if errors:
            raise errors[0]
        delivered.extend(batch)

    queue = Queue("forked", processor, partitions=1).start()
    queue.push("parent's")
    assert queue.stop(timeout=0).left == ("parent's",)

    def live() -> None:
        errors.clear()
        assert queue.size() == 0
        queue.start()
        deliver_own(queue, delivered)()

    Child(live).result()
    errors.clear()
    queue.start().stop()

    assert delivered == ["parent's"]
    assert_balanced(queue.stats())
    assert queue.stats().delivered == queue.stats().accepted == 1


def test_children_of_children_begin_empty_too() -> None:
    delivered: list[Any] = []
    queue = Queue[Any]("forked", delivered.extend, partitions=2).start()
    queue.push("parent's")

    def live(depth: int) -> int:
        delivered.clear()
        assert queue.size() == 0
        queue.push(f"of {depth}")
        if depth:
            assert Child(lambda: live(depth - 1)).result() == depth - 1
        assert queue.stop(timeout=PATIENCE).left == ()
        assert delivered == [f"of {depth}"]
        assert_balanced(queue.stats())
        return depth

    assert Child(lambda: live(3)).result() == 3
    queue.stop()

    assert delivered == ["parent's"]
    assert_balanced(queue.stats())


# --- the first write in the child ----------------------------------------------


def test_a_write_that_meets_another_threads_first_write_is_not_refused() -> None:
    """One finds the table closed; until it asks why, the other has resumed the buffer."""
    delivered: list[Any] = []
    queue = Queue[str]("forked", delivered.extend, partitions=1).start()

    def live() -> None:
        errors: list[BaseException] = []

        def write() -> None:
            try:
                queue.push("second")
            except BufferNotRunning as error:
                errors.append(error)

        asking, resumed, why = threading.Event(), threading.Event(), queue._refused

        def refused() -> Exception | None:
            if threading.current_thread() is thread:
                asking.set()
                resumed.wait(PATIENCE)
            return why()

        queue._refused = refused  # type: ignore[method-assign]
        thread = threading.Thread(target=write)
        thread.start()
        assert asking.wait(PATIENCE)
        queue.push("first")
        resumed.set()
        thread.join(PATIENCE)
        assert errors == []
        queue.stop(timeout=PATIENCE)
        assert sorted(delivered) == ["first", "second"]
        assert_balanced(queue.stats())
        assert queue.stats().accepted == queue.stats().delivered == 2

    Child(live).result()
    queue.stop()

    assert_balanced(queue.stats())


def test_many_threads_may_make_the_first_write() -> None:
    delivered: list[Any] = []
    queue = Queue[int]("forked", delivered.extend, partitions=2).start()

    def live() -> None:
        barrier = threading.Barrier(8)

        def write(number: int) -> None:
            barrier.wait(PATIENCE)
            queue.push(number)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        queue.stop(timeout=PATIENCE)
        assert sorted(delivered) == list(range(8))
        assert_balanced(queue.stats())

    for _ in range(20):
        Child(live).result()
    queue.stop()

    assert_balanced(queue.stats())
    assert delivered == []


@pytest.mark.parametrize("method", ["push", "flush"])
def test_a_write_in_the_middle_of_the_first_write_does_not_start_the_workers_twice(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finalizer or a signal handler that writes while the workers are being started."""
    delivered: list[Any] = []
    queue = Queue[str]("forked", delivered.extend, partitions=2).start()
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        queue.push("of a finalizer")
        start(thread)

    def live() -> list[str]:
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        if method == "push":
            queue.push("child's")
        else:
            queue.flush(timeout=PATIENCE)
        monkeypatch.undo()
        workers = [t.name for t in threading.enumerate() if t.name.startswith("forked-")]
        queue.stop(timeout=PATIENCE)
        assert_balanced(queue.stats())
        assert delivered.count("of a finalizer") == 3
        assert len(delivered) == (4 if method == "push" else 3)
        return sorted(workers)

    assert Child(live).result() == ["forked-0", "forked-1", "forked-watchdog"]
    queue.stop()

    assert_balanced(queue.stats())


def test_a_first_write_that_finds_no_thread_to_start_is_refused_and_the_next_may_succeed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delivered: list[Any] = []
    queue = Queue[str]("forked", delivered.extend, partitions=2).start()

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def live() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_thread)
            for _ in range(2):
                with pytest.raises(BufferNotRunning, match="can't start new thread"):
                    queue.push("refused")
        assert queue.running
        assert queue.size() == 0
        deliver_own(queue, delivered)()

    Child(live).result()
    queue.stop()

    assert_balanced(queue.stats())
