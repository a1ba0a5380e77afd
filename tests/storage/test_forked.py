"""A forked child has no part in its parent's journal."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from forks import Child
from journals import append, held, program

from partitioned_buffer import Queue
from partitioned_buffer.errors import BufferNotRunning, StorageBusy, StorageError
from partitioned_buffer.storage import SQLite
from partitioned_buffer.storage.sqlite import Journal

Open = Callable[..., Journal]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def test_a_child_is_refused_everything(journal: Journal) -> None:
    append(journal, "abc")

    def try_all() -> list[str]:
        said = []
        for call in (
            lambda: append(journal, "x"),
            lambda: journal.read(0, 0, 1),
            lambda: journal.settle(0, 1),
            journal.reclaim,
            lambda: journal.end(0),
            lambda: list(journal.buried()),
            lambda: journal.relayout(1, lambda _data, _places, _partitions: {}),
        ):
            try:
                call()
            except StorageError as error:
                said.append(str(error))
        journal.close()
        journal.close()
        return said

    said = Child(try_all).result()
    assert len(said) == 7
    assert all("it is the parent's" in each and "after the fork" in each for each in said)
    assert append(journal, "d") == [3]
    assert held(journal) == "abcd"


def test_a_buffer_in_a_child_says_whose_it_is(path: Path) -> None:
    delivered: list[int] = []
    storage = SQLite(path, codec=(pickle.dumps, pickle.loads))
    queue = Queue("forked", delivered.extend, storage=storage, partitions=1)

    def write() -> list[str]:
        said = []
        calls: list[Callable[[], object]] = [lambda: queue.push(2), queue.flush]
        for call in calls:
            with pytest.raises(BufferNotRunning) as error:
                call()
            said.append(str(error.value))
        return said

    with queue:
        queue.push(1)
        said = Child(write).result()
    assert all("forked from" in each and "with a storage of its own" in each for each in said)
    assert delivered == [1]


def test_a_child_may_have_a_file_of_its_own(journal: Journal, opened: Open, path: Path) -> None:
    def use() -> str:
        own = opened(path.with_name("own.db"))
        append(own, "own")
        return held(own)

    assert Child(use).result() == "own"


def test_a_childs_life_keeps_no_lock(journal: Journal, opened: Open, path: Path) -> None:
    reader, writer = os.pipe()

    def wait() -> str:
        os.close(writer)
        os.read(reader, 1)
        return "ended"

    child = Child(wait)
    try:
        with pytest.raises(StorageBusy):
            opened()
        journal.close()
        append(opened(), "abc")
    finally:
        os.close(writer)
    assert child.result() == "ended"


def test_a_child_that_outlives_its_killed_parent_keeps_no_lock(opened: Open, path: Path) -> None:
    done = program(
        """
        journal = opened(Path(sys.argv[1]))
        append(journal, "abc")
        if (pid := os.fork()) == 0:
            for each in (0, 1, 2):
                os.close(each)  # so that nobody waits for it
            import time
            time.sleep(60)
            os._exit(0)
        print(pid, flush=True)
        os.kill(os.getpid(), 9)
        """,
        path,
    )
    child = int(done.stdout)
    try:
        assert held(opened()) == "abc"
    finally:
        os.kill(child, 9)


def test_a_child_that_ends_like_any_program_takes_nothing_along(opened: Open, path: Path) -> None:
    """Not even while another thread of the parent is in the middle of SQLite."""
    done = program(
        """
        import gc, threading, warnings
        warnings.simplefilter("ignore")  # of forks with threads: that is what this is about
        journal = opened(Path(sys.argv[1]))
        append(journal, "abc")
        inside, leave = threading.Event(), threading.Event()
        def stay():
            inside.set()
            leave.wait()
        journal._file._db.create_function("stay", 0, stay)
        thread = threading.Thread(target=lambda: journal._file._db.execute("select stay()"))
        thread.start()
        inside.wait()
        if (pid := os.fork()) == 0:
            del journal, thread
            gc.collect()
            sys.exit(0)  # would wait for SQLite's mutex for ever, if it closed anything
        os.waitpid(pid, 0)
        leave.set()
        thread.join()
        append(journal, "def")
        print(held(journal), os.path.exists(sys.argv[1] + "-wal"), flush=True)
        os.kill(os.getpid(), 9)
        """,
        path,
    )

    assert (done.stdout, done.stderr) == ("abcdef True\n", "")
    assert held(opened()) == "abcdef"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux what is open")
def test_a_child_closes_nothing_of_sqlites(path: Path) -> None:
    done = program(
        """
        import gc
        journal = opened(Path(sys.argv[1]))
        def files():
            there = (Path("/proc/self/fd") / each for each in os.listdir("/proc/self/fd"))
            return sorted(os.path.basename(os.readlink(each)) for each in there if each.exists())
        before = files()
        if (pid := os.fork()) == 0:
            del journal
            gc.collect()
            assert files() == [each for each in before if not each.endswith(("-lock", "-ack"))]
            sys.exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
        path,
    )

    assert (done.stdout, done.stderr) == ("0\n", "")


def test_forked_children_leave_what_is_written_where_it_is(opened: Open, path: Path) -> None:
    done = program(
        """
        journal = opened(Path(sys.argv[1]))
        for text in ("abc", "def", "ghi"):
            append(journal, text)
            if (pid := os.fork()) == 0:
                sys.exit(0)
            os.waitpid(pid, 0)
        append(journal, "jkl")
        os._exit(0)
        """,
        path,
    )

    assert (done.stderr, done.returncode) == ("", 0)
    assert held(opened()) == "abcdefghijkl"
