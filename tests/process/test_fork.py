"""What a forked child does with the buffers it finds, and what its parent notices: nothing."""

import json
import logging
import os
import select
import signal
import subprocess
import sys
import sysconfig
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import partitioned_buffer
from partitioned_buffer import BufferNotRunning, Entry, Map, Queue
from partitioned_buffer.testing import assert_balanced

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
    # Python 3.12 warns of what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

PATIENCE = 60.0
FORKS = 100

under_load = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="a lock of any dict or object may stay locked in a child, if threads met there",
)


class Child:
    """A forked process that runs a function, sends what it returned, and ends with `os._exit`."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                _send(writer, json.dumps(function()))
                status = 0
            except BaseException:
                _send(writer, traceback.format_exc())
            finally:
                os._exit(status)
        os.close(writer)

    def result(self) -> Any:
        """Return what the child's function returned; fail if the child failed, or hangs."""
        deadline, received = time.monotonic() + PATIENCE, b""
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._reader], [], [], left)
            if not ready:  # its end closes the pipe
                os.kill(self.pid, signal.SIGABRT)  # faulthandler shows where it hangs
                os.waitpid(self.pid, 0)
                pytest.fail(f"child {self.pid} hangs")
            if not (part := os.read(self._reader, 65536)):
                break
            received += part
        os.close(self._reader)
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, received.decode()
        return json.loads(received)


def _send(writer: int, text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(writer, data) :]


def run(program: str) -> str:
    """Run *program* in a process of its own; return what it and its children printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


class Sink:
    """A processor that counts the parent's numbers, and keeps everything else."""

    def __init__(self) -> None:
        self.count = self.sum = 0
        self.others: list[Any] = []
        self._lock = threading.Lock()

    def __call__(self, batch: list[Any]) -> None:
        items = [item.key if isinstance(item, Entry) else item for item in batch]
        numbers = [item for item in items if isinstance(item, int)]
        with self._lock:
            self.count += len(numbers)
            self.sum += sum(numbers)
            self.others += [item for item in items if not isinstance(item, int)]

    def forked(self) -> None:
        """Begin anew, in the child: a thread of the parent may have held the lock."""
        self.__init__()  # type: ignore[misc]


@contextmanager
def hammered(buffer: Any, write: Callable[[int], object]) -> Iterator[dict[int, int]]:
    """Let 4 threads write numbers, each every fourth; yield what will say where each ended."""
    ending, ends = threading.Event(), dict[int, int]()

    def hammer(first: int) -> None:
        number = first
        while not ending.is_set():
            write(number)
            number += 4
            if number % 1000 < 4:  # lest there be so much memory that forks take long
                buffer.flush(timeout=PATIENCE)
        ends[first] = number

    threads = [threading.Thread(target=hammer, args=(first,), daemon=True) for first in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # so that forks come in the middle of more things
    try:
        for thread in threads:
            thread.start()
        yield ends
    finally:
        ending.set()
        sys.setswitchinterval(interval)
        for thread in threads:
            thread.join(PATIENCE)
    assert len(ends) == 4


def fork_often(buffer: Any, sink: Sink, write: Callable[[Any], object], forks: int = FORKS) -> None:
    """Fork under load: every child delivers what it wrote, the parent the rest, nobody twice."""

    def live(number: int) -> list[str]:
        sink.forked()
        own = [f"{os.getpid()} {n}" for n in range(3)]
        assert buffer.running
        assert buffer.size() == 0
        for item in own:
            write(item)
        if number % 2:
            buffer.flush(timeout=PATIENCE)
        report = buffer.stop(timeout=PATIENCE)
        stats = buffer.stats()
        assert_balanced(stats)
        assert not report.left
        assert stats.accepted == stats.delivered == 3
        assert sink.count == 0, "the parent's"
        assert sorted(sink.others) == own
        return own

    with hammered(buffer, write) as ends:
        for number in range(forks):
            assert len(Child(lambda: live(number)).result()) == 3
    assert buffer.running
    write("parent's, later")
    buffer.stop()
    stats = buffer.stats()
    assert_balanced(stats)
    written = [range(first, end, 4) for first, end in ends.items()]
    assert sink.others == ["parent's, later"]
    assert sink.count == sum(map(len, written))
    assert sink.sum == sum(map(sum, written))
    assert stats.delivered == stats.accepted == sink.count + 1


@under_load
def test_forks_under_load_lose_and_repeat_nothing() -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2, flush_at=100)
    queue.start()

    fork_often(queue, sink, queue.push)


@under_load
def test_forks_under_load_with_partition_keys_lose_and_repeat_nothing() -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2, flush_at=10, partition_key=hash)
    queue.start()

    fork_often(queue, sink, lambda item: queue.push_all([item]), FORKS // 4)


@under_load
@pytest.mark.parametrize("bound", [{"max_size": 20}, {"max_bytes": 1000}])
def test_forks_of_a_full_buffer_lose_and_repeat_nothing(bound: Any) -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2, flush_at=1, **bound)
    queue.start()

    fork_often(queue, sink, queue.push, FORKS // 2)


@under_load
@pytest.mark.parametrize("bound", [{}, {"max_size": 20}])
def test_forks_under_load_of_a_map_lose_and_repeat_nothing(bound: Any) -> None:
    sink = Sink()
    mapped: Map[Any, Any] = Map("forked", sink, partitions=2, flush_at=5, **bound)
    mapped.start()

    def write(key: Any) -> None:
        mapped.put_newer(key, "value", 1)
        mapped.get(key)

    fork_often(mapped, sink, write, FORKS // 4)


@under_load
def test_forks_under_load_of_a_logging_handler_lose_and_repeat_nothing() -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2, flush_at=10)
    queue.start()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            queue.push(record.msg)

    log, handler = logging.getLogger("forked under load"), Handler()
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)

    fork_often(queue, sink, log.info, FORKS // 8)
    log.removeHandler(handler)


@under_load
def test_children_that_are_forked_by_several_threads_at_once_deliver_their_own() -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2).start()
    children: list[Any] = []

    def live() -> list[str]:
        sink.forked()
        queue.push(str(os.getpid()))
        queue.stop(timeout=PATIENCE)
        return sink.others

    def fork() -> None:
        for _ in range(5):
            child = Child(live)
            children.append(child.result() == [str(child.pid)])

    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.stop()

    assert children == [True] * 20
    assert_balanced(queue.stats())
    assert queue.stats().accepted == 0


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

        table: Any = queue._tables[0]
        with table._lock:  # where the second writer waits
            thread = threading.Thread(target=write)
            thread.start()
            while not table.waiting:
                pass
            queue.push("first")
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


# --- pools of processes --------------------------------------------------------

POOL = """
import multiprocessing, os, warnings
from concurrent.futures import ProcessPoolExecutor
warnings.simplefilter("ignore")
from partitioned_buffer import Map, Queue
def record(batch):
    for item in batch:
        item = getattr(item, "key", item)
        os.write(1, f"{os.getpid()} {item}\\n".encode())
queue = Queue("queue", record, partitions=2, processing_interval=1000.0).start()
mapped = Map("map", record, partitions=2, processing_interval=1000.0).start()
def write(number):
    queue.push(f"{os.getpid()} queue {number}")
    mapped.put(f"{os.getpid()} map {number}", number)
context = multiprocessing.get_context("fork")
write(-1)
"""

POOLS = {
    "Process": """
processes = [context.Process(target=write, args=(number,)) for number in range(20)]
for process in processes: process.start()
for process in processes: process.join()
""",
    "Process that fails": """
def fail(number):
    write(number)
    raise SystemExit(1)
processes = [context.Process(target=fail, args=(number,)) for number in range(20)]
for process in processes: process.start()
for process in processes: process.join()
""",
    "Process started by a thread": """
import threading
def spawn(number):
    process = context.Process(target=write, args=(number,))
    process.start()
    process.join()
threads = [threading.Thread(target=spawn, args=(number,)) for number in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""",
    "Process of a Process": """
def spawn(number):
    write(number)
    process = context.Process(target=write, args=(number + 10,))
    process.start()
    process.join()
processes = [context.Process(target=spawn, args=(number,)) for number in range(10)]
for process in processes: process.start()
for process in processes: process.join()
""",
    "Pool": """
with context.Pool(3) as pool:
    pool.map(write, range(20), chunksize=1)
    pool.close()
    pool.join()
""",
    "Pool that renews its processes": """
with context.Pool(3, maxtasksperchild=2) as pool:
    pool.map(write, range(20), chunksize=1)
    pool.close()
    pool.join()
""",
    "ProcessPoolExecutor": """
with ProcessPoolExecutor(3, mp_context=context) as pool:
    list(pool.map(write, range(20)))
""",
}


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param(pool, id=name, marks=under_load if "threads" in pool else ())
        for name, pool in POOLS.items()
    ],
)
def test_what_the_processes_of_a_pool_write_is_delivered_at_their_end(pool: str) -> None:
    lines = run(POOL + pool).splitlines()

    deliveries = [line.split() for line in lines]
    assert len(deliveries) == 42
    assert all(deliverer == writer for deliverer, writer, _, _ in deliveries)
    assert sorted((kind, int(number)) for _, _, kind, number in deliveries) == [
        (kind, number) for kind in ("map", "queue") for number in range(-1, 20)
    ]


def test_a_processor_may_use_a_process() -> None:
    program = (
        POOL
        + """
def processor(batch):
    process = context.Process(target=write, args=(len(batch),))
    process.start()
    process.join()
    record(batch)
with Queue("spawns", processor, partitions=1) as spawns:
    spawns.push_all([f"{os.getpid()} item", f"{os.getpid()} item"])
"""
    )
    deliveries = [line.split() for line in run(program).splitlines()]

    assert all(deliverer == writer for deliverer, writer, *_ in deliveries)
    assert sorted(" ".join(what) for _, _, *what in deliveries) == [
        "item",
        "item",
        "map -1",
        "map 2",
        "queue -1",
        "queue 2",
    ]


def test_a_child_that_ends_like_a_program_is_drained_like_one() -> None:
    program = (
        POOL
        + """
if os.fork() == 0:
    write(0)
else:
    os.wait()
"""
    )
    deliveries = [line.split() for line in run(program).splitlines()]

    assert len(deliveries) == 4
    assert all(deliverer == writer for deliverer, writer, _, _ in deliveries)
