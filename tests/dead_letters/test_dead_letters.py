"""What is given up is in the file, in whole lines, and comes back from it."""

import contextlib
import errno
import json
import os
import signal
import stat
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers import Buffers

from partitioned_buffer import Entry, InvalidOption
from partitioned_buffer.abc import DeadLetterHandler
from partitioned_buffer.dead_letters import DeadLetterFile, Replayed
from partitioned_buffer.testing import RecordingProcessor

pytestmark = pytest.mark.both_faces

DOWN = OSError("down")
needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="needs fcntl")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "letters.jsonl"


@pytest.fixture
def replaying(path: Path) -> Path:
    return path.with_name("letters.jsonl.replaying")


@pytest.fixture
def letters(path: Path) -> DeadLetterFile:
    return DeadLetterFile(path)


def records(path: Path) -> list[Any]:
    """Return what the lines hold; a line that is not whole raises."""
    data = path.read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines() if line]


def items(path: Path) -> list[Any]:
    return [record["item"] for record in records(path)]


class Receiver:
    """A queue that delivers at once; *during* is called by its flush."""

    def __init__(self, during: Callable[[], object] = lambda: None) -> None:
        self.received: list[Any] = []
        self.timeouts: list[float | None] = []
        self._during = during

    def push(self, item: Any) -> None:
        self.received.append(item)

    def flush(self, timeout: float | None = None) -> None:
        self.timeouts.append(timeout)
        self._during()


@dataclass
class Order:
    number: int


def order(held: dict[str, int]) -> Order:
    return Order(**held)


# --- there ---------------------------------------------------------------------


def test_it_is_what_the_contract_asks_for(letters: DeadLetterFile) -> None:
    handler: DeadLetterHandler = letters

    assert callable(handler)


def test_an_item_is_a_line(letters: DeadLetterFile, path: Path) -> None:
    before = time.time()
    letters([{"user": "ada"}, "two\nlines, \u00e9\ud800"], DOWN, 3)
    after = time.time()

    first, second = records(path)
    assert before <= first.pop("time") <= after
    assert first == {"item": {"user": "ada"}, "error": "OSError: down", "attempts": 3}
    assert second["item"] == "two\nlines, \u00e9\ud800"


def test_an_entry_is_a_line(letters: DeadLetterFile, path: Path) -> None:
    letters([Entry(("a", 1), 4.2, version=7, updates=2)], DOWN, 1)

    (record,) = records(path)
    assert record["entry"] == {"key": ["a", 1], "value": 4.2, "version": 7, "updates": 2}
    assert "item" not in record


def test_calls_are_appended_and_nothing_is_nothing(letters: DeadLetterFile, path: Path) -> None:
    letters([], DOWN, 1)
    assert not path.exists()

    letters([1, 2], DOWN, 1)
    letters([3], DOWN, 1)

    assert items(path) == [1, 2, 3]


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(), "ValueError"),
        (SystemExit(1), "SystemExit: 1"),
        (ValueError("x" * 1000), "ValueError: " + "x" * 488),
    ],
)
def test_the_error_is_a_short_text(
    error: BaseException, text: str, letters: DeadLetterFile, path: Path
) -> None:
    letters([1], error, 1)

    assert records(path)[0]["error"] == text


def test_an_error_without_a_text_does_not_matter(letters: DeadLetterFile, path: Path) -> None:
    letters([1], Mute(), 1)

    assert records(path)[0]["error"].startswith("Mute: <")


class Nameless:
    def __repr__(self) -> str:
        raise GeneratorExit


def test_an_item_that_cannot_be_encoded_is_kept_as_its_repr(
    letters: DeadLetterFile, path: Path
) -> None:
    circular: list[Any] = []
    circular.append(circular)
    letters([1, {2}, circular, Nameless(), Entry(b"key", 1, 0, 0), 3], DOWN, 1)

    first, a_set, a_circle, nameless, entry, last = records(path)
    assert (first["item"], last["item"]) == (1, 3), "its neighbours are written"
    assert (a_set["repr"], a_circle["repr"]) == ("{2}", "[[...]]")
    assert "Nameless object at" in nameless["repr"]
    assert entry["repr"] == "Entry(key=b'key', value=1, version=0, updates=0)"
    assert a_set["error"] == "OSError: down"
    assert not {"item", "entry"} & {*a_set, *entry}


@pytest.mark.parametrize("error", [ValueError(), SystemExit()])
def test_an_encode_that_raises_loses_nothing(error: BaseException, path: Path) -> None:
    def encode(item: int) -> int:
        if item == 2:
            raise error
        return item

    DeadLetterFile(path, encode=encode, decode=int)([1, 2, 3], DOWN, 1)

    assert [r.get("item", r.get("repr")) for r in records(path)] == [1, "2", 3]


def test_only_its_owner_may_read_it(letters: DeadLetterFile, path: Path) -> None:
    before = os.umask(0)
    try:
        letters([1], DOWN, 1)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    letters = DeadLetterFile(tmp_path / "gone" / "letters.jsonl")

    with pytest.raises(FileNotFoundError, match=r"directory .* does not exist") as raised:
        letters([1], DOWN, 1)
    assert raised.value.filename == str(tmp_path / "gone")
    assert letters.replay(Receiver()) == Replayed(0, 0)


def test_a_change_of_directory_does_not_move_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    letters = DeadLetterFile("letters.jsonl")
    monkeypatch.chdir("/")
    letters([1], DOWN, 1)

    assert items(tmp_path / "letters.jsonl") == [1]
    assert repr(letters) == f"DeadLetterFile({str(tmp_path / 'letters.jsonl')!r})"


def test_it_may_be_rotated(letters: DeadLetterFile, path: Path) -> None:
    letters([1], DOWN, 1)
    rotated = path.rename(path.with_suffix(".1"))
    letters([2], DOWN, 1)

    assert (items(rotated), items(path)) == ([1], [2])


def test_what_is_written_to_a_file_just_taken_away_is_written_again(
    letters: DeadLetterFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters([1], DOWN, 1)
    write = os.write

    def overtaken(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        path.rename(path.with_suffix(".taken"))
        return write(fd, data)

    monkeypatch.setattr(os, "write", overtaken)
    letters([2], DOWN, 1)

    assert items(path) == [2]


@pytest.mark.parametrize("torn", ['{"item": 0, "err', "{", "\n\n{"])
def test_a_line_that_a_crash_has_cut_harms_no_other(
    torn: str, letters: DeadLetterFile, path: Path
) -> None:
    letters([1], DOWN, 1)
    with path.open("a") as file:
        file.write(torn)
    letters([2], DOWN, 1)
    receiver = Receiver()

    assert letters.replay(receiver) == Replayed(2, 1)
    assert receiver.received == [1, 2]
    assert path.read_text() == f"{torn.strip()}\n"


def test_a_call_is_one_write(
    letters: DeadLetterFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("torn")
    sizes: list[int] = []
    write = os.write

    def counted(fd: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(fd, data)

    monkeypatch.setattr(os, "write", counted)
    letters(list(range(100)), DOWN, 1)

    assert sizes == [path.stat().st_size - len("torn")]


def test_a_short_write_is_completed(
    letters: DeadLetterFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    letters([1, 2, 3], DOWN, 1)

    assert items(path) == [1, 2, 3]
    assert len(path.read_bytes().splitlines()) == 3


@pytest.mark.parametrize("cut", [-5, 0, 1, 5])
@pytest.mark.parametrize("theirs", [b'\n{"item": 0}\n', b'\n{"item'])
def test_a_short_write_that_another_process_writes_behind_loses_nothing(
    cut: int,
    theirs: bytes,
    letters: DeadLetterFile,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = os.write

    def short(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        written = write(fd, data[: data.index(b"\n") + cut])
        with path.open("ab") as file:
            file.write(theirs)
        return written

    monkeypatch.setattr(os, "write", short)
    letters([1, 2, 3], DOWN, 1)
    receiver = Receiver()
    letters.replay(receiver)

    assert {1, 2, 3} <= set(receiver.received) <= {0, 1, 2, 3}


@pytest.mark.parametrize("fsync", [True, False])
def test_it_is_synchronized_and_so_is_its_directory_when_new(
    fsync: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def record(fd: int) -> None:
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        synced.append(f"{os.fstat(fd).st_size > 0} file" if is_file else "directory")

    monkeypatch.setattr(os, "fsync", record)
    letters = DeadLetterFile(path, fsync=fsync)
    letters([1], DOWN, 1)
    letters([2], DOWN, 1)

    assert synced == (["True file", "directory", "True file"] if fsync else [])

    letters.replay(Receiver())

    assert synced[3:] == (["directory"] if fsync else [])


def test_a_call_in_the_middle_of_a_call_does_not_wait_for_it(
    letters: DeadLetterFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def finalizer(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        letters(["inner"], DOWN, 1)
        return write(fd, data)

    monkeypatch.setattr(os, "write", finalizer)
    thread = threading.Thread(target=letters, args=(["outer"], DOWN, 1), daemon=True)
    thread.start()
    thread.join(10)

    assert not thread.is_alive()
    assert items(path) == ["inner", "outer"]


def test_no_file_is_left_open(letters: DeadLetterFile, path: Path) -> None:
    def lowest_free() -> int:
        fd = os.dup(0)
        os.close(fd)
        return fd

    before = lowest_free()
    letters([1, {2}], DOWN, 1)
    letters.replay(Receiver())
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        letters([1], DOWN, 1)

    assert lowest_free() == before


def test_threads_append_whole_lines(letters: DeadLetterFile, path: Path) -> None:
    gate = threading.Barrier(8)

    def append(me: int) -> None:
        gate.wait()
        for number in range(20):
            letters([[me, number, "x" * 3000], [me, number]], DOWN, 1)

    threads = [threading.Thread(target=append, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    written = [item[:2] for item in items(path)]
    assert sorted(written) == sorted(
        [me, number] for me in range(8) for number in range(20) for _ in range(2)
    )
    assert b"\n\n" not in path.read_bytes()


def fork(child: Callable[[], object]) -> int:
    """Run *child* in a child, which is killed if it takes too long; return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads: that is the test
        pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(BaseException):
            signal.alarm(30)
            child()
            code = 0
        os._exit(code)
    return pid


@needs_fork
def test_processes_append_whole_lines(letters: DeadLetterFile, path: Path) -> None:
    gate, opener = os.pipe()

    def append() -> None:
        os.close(opener)
        os.read(gate, 1)  # until the parent opens
        for number in range(20):
            letters([[number, "x" * 3000], [number]], DOWN, 1)

    children = [fork(append) for _ in range(4)]
    os.close(opener)
    codes = [os.waitpid(child, 0)[1] for child in children]
    os.close(gate)

    assert codes == [0, 0, 0, 0]
    written = [item[0] for item in items(path)]
    assert sorted(written) == sorted([*range(20)] * 8)


@needs_fork
def test_a_child_waits_for_no_thread_of_its_parent(
    letters: DeadLetterFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on, receiver = threading.Event(), threading.Event(), Receiver()
    gate, opener = os.pipe()

    def slow(fd: int) -> None:
        if threading.current_thread() is writer and not inside.is_set():
            inside.set()
            go_on.wait(30)

    def append_and_replay() -> None:
        os.close(opener)
        letters(["child"], DOWN, 1)
        os.read(gate, 1)  # until the parent's replay is over
        letters.replay(receiver)
        assert sorted(receiver.received) == ["child", "parent"]

    letters(["first"], DOWN, 1)
    monkeypatch.setattr(os, "fsync", slow)
    again = Receiver(lambda: letters(["parent"], DOWN, 1))  # so that both locks are held
    writer = threading.Thread(target=letters.replay, args=(again,))
    writer.start()
    assert inside.wait(30)
    child = fork(append_and_replay)
    go_on.set()
    writer.join()
    os.close(opener)
    code = os.waitpid(child, 0)[1]
    os.close(gate)

    assert code == 0


# --- and back ------------------------------------------------------------------


def test_a_queue_gets_its_items_back(
    letters: DeadLetterFile,
    path: Path,
    replaying: Path,
    buffers: Buffers,
    processor: RecordingProcessor,
) -> None:
    queue = buffers.queue()
    items = [{"user": "ada"}, [1, [2]], "text", None, 1.5, float("inf"), True]
    letters(items[:3], DOWN, 1)
    letters(items[3:], DOWN, 1)

    assert letters.replay(queue) == Replayed(7, 0)
    assert processor.items == items, "it was flushed"
    assert not path.exists()
    assert not replaying.exists()
    assert letters.replay(queue) == Replayed(0, 0)


def test_a_map_gets_its_entries_back(
    letters: DeadLetterFile, path: Path, buffers: Buffers, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    letters([Entry("tea", 4.2, 0, 0), Entry(("a", ("b", 1)), [2, [3]], 7, 5)], DOWN, 1)

    assert letters.replay(mapped) == Replayed(2, 0)
    assert processor.items == [Entry("tea", 4.2, 0, 0), Entry(("a", ("b", 1)), [2, [3]], 7, 0)]
    assert not path.exists()


def test_an_old_version_does_no_harm_but_a_plain_put_wins(
    letters: DeadLetterFile, buffers: Buffers, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    letters([Entry("versioned", "old", 7, 0), Entry("plain", "old", 0, 0)], DOWN, 1)
    mapped.put_newer("versioned", "new", version=8)
    mapped.put("plain", "new")

    letters.replay(mapped)

    assert {entry.key: entry.value for entry in processor.items} == {
        "versioned": "new",
        "plain": "old",
    }


def test_encode_and_decode_are_for_items_and_for_values(
    path: Path, buffers: Buffers, processor: RecordingProcessor
) -> None:
    letters = DeadLetterFile(path, encode=asdict, decode=order)

    letters([Order(1)], DOWN, 1)
    assert items(path) == [{"number": 1}]
    letters.replay(buffers.queue())
    letters([Entry("key", Order(2), 0, 0)], DOWN, 1)
    letters.replay(buffers.map())

    assert processor.items == [Order(1), Entry("key", Order(2), 0, 0)]


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        '{"item": 1',
        "\xff",
        "[]",
        "7",
        '"item"',
        "{}",
        '{"repr": "<Order 7>"}',
        '{"item": {"no": "number"}}',
        '{"entry": 1}',
        '{"entry": {"key": 1, "value": {"number": 1}}}',
        '{"entry": {"key": 1, "value": {"number": 1}, "version": "1"}}',
        '{"entry": {"key": {}, "value": {"number": 1}, "version": 1}}',
        "[" * 100_000,
    ],
    ids=lambda line: line[:20],
)
def test_a_line_that_cannot_be_read_stays_as_it_is(line: str, path: Path) -> None:
    letters = DeadLetterFile(path, encode=asdict, decode=order)
    letters([Order(1)], DOWN, 1)
    with path.open("ab") as file:
        file.write(line.encode("latin-1") + b" \r\n\n  \n")
    letters([Order(2)], DOWN, 1)

    for pushed in (2, 0):
        receiver = Both()
        assert letters.replay(receiver) == Replayed(pushed, 1)
        assert len(receiver.received) == pushed
        assert path.read_bytes() == line.encode("latin-1") + b" \r\n"


class Both(Receiver):
    """A queue that has a map's methods, too."""

    def put(self, key: Any, value: Any) -> None:
        self.received.append((key, value))

    def put_newer(self, key: Any, value: Any, version: int) -> None:
        self.received.append((key, value, version))


def test_a_replay_of_nothing_but_unreadable_lines(letters: DeadLetterFile, path: Path) -> None:
    letters([{1}], DOWN, 1)
    receiver = Receiver()

    assert letters.replay(receiver) == Replayed(0, 1)
    assert receiver.timeouts == [], "nothing to wait for"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_failed_replay_has_pushed_is_pushed_again(
    letters: DeadLetterFile,
    path: Path,
    replaying: Path,
    buffers: Buffers,
    processor: RecordingProcessor,
) -> None:
    queue = buffers.queue()
    letters([1, {2}], DOWN, 1)
    before = path.read_bytes()
    processor.fail_always(DOWN)

    with pytest.raises(TimeoutError):
        letters.replay(queue, timeout=1.0)
    assert replaying.read_bytes() == before
    assert not path.exists()

    processor.recover()
    letters([3], DOWN, 1)
    assert letters.replay(queue) == Replayed(2, 1)
    assert processor.items == [1, 1, 3]
    assert [record["repr"] for record in records(path)] == ["{2}"]
    assert not replaying.exists()


def test_a_push_that_raises_loses_nothing(letters: DeadLetterFile, replaying: Path) -> None:
    letters([1, 2], DOWN, 1)

    class Full(Receiver):
        def push(self, item: Any) -> None:
            if item == 2:
                raise BufferError
            super().push(item)

    full, receiver = Full(), Receiver()
    with pytest.raises(BufferError):
        letters.replay(full)

    assert full.timeouts == [], "no use"
    assert items(replaying) == [1, 2]
    assert letters.replay(receiver, timeout=5) == Replayed(2, 0)
    assert receiver.timeouts == [5]


def test_nothing_is_forgotten_before_the_flush(letters: DeadLetterFile, replaying: Path) -> None:
    letters([1], DOWN, 1)
    seen: list[Any] = []
    receiver = Receiver(lambda: seen.append((items(replaying), receiver.received)))

    letters.replay(receiver)

    assert seen == [([1], [1])]


def test_what_fails_again_is_a_new_dead_letter(letters: DeadLetterFile, path: Path) -> None:
    letters([1, 2], DOWN, 1)

    assert letters.replay(Receiver(lambda: letters([2], ValueError(), 4))) == Replayed(2, 0)
    assert [(r["item"], r["error"]) for r in records(path)] == [(2, "ValueError")]


def test_a_replay_during_a_replay_leaves_it_alone(letters: DeadLetterFile, path: Path) -> None:
    letters([1, 2], DOWN, 1)
    others: list[Replayed] = []
    receiver = Receiver()

    def replay_too() -> None:
        letters([3], DOWN, 1)
        for file in (letters, DeadLetterFile(path)):  # the second as another process would have it
            thread = threading.Thread(target=lambda: others.append(file.replay(receiver)))
            thread.start()
            thread.join(30)
            others.append(file.replay(receiver))

    assert letters.replay(Receiver(replay_too)) == Replayed(2, 0)
    assert others == [Replayed(0, 0)] * 4
    assert receiver.received == []
    assert letters.replay(receiver) == Replayed(1, 0)


def test_threads_that_replay_at_once_replay_once(letters: DeadLetterFile, path: Path) -> None:
    letters(list(range(100)), DOWN, 1)
    receiver, gate = Receiver(), threading.Barrier(8)
    done: list[Replayed] = []

    def replay(file: DeadLetterFile) -> None:
        gate.wait()
        done.append(file.replay(receiver))

    files = [letters, DeadLetterFile(path)] * 4
    threads = [threading.Thread(target=replay, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert receiver.received == list(range(100))
    assert sum(replayed.pushed for replayed in done) == 100


@needs_locks
def test_a_file_that_another_process_has_just_replayed_is_not_there(
    letters: DeadLetterFile, path: Path, replaying: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters([1], DOWN, 1)
    path.rename(replaying)

    def late(file: Any, operation: int) -> None:
        replaying.unlink(missing_ok=True)

    monkeypatch.setattr("fcntl.flock", late)

    assert letters.replay(Receiver()) == Replayed(0, 0)


@needs_locks
def test_a_file_system_without_locks_will_do(
    letters: DeadLetterFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: Any, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    letters([1], DOWN, 1)

    assert letters.replay(Receiver()) == Replayed(1, 0)


def test_nobody_of_this_process_appends_while_the_file_is_set_aside(
    letters: DeadLetterFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    appending, rename = letters._own_locks()[0], Path.rename
    letters([1], DOWN, 1)
    free: list[bool] = []

    def watched(self: Path, target: Path) -> Path:
        thread = threading.Thread(target=lambda: free.append(appending.acquire(blocking=False)))
        thread.start()
        thread.join()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    letters.replay(Receiver())

    assert free == [False]


def test_a_file_set_aside_by_another_process_is_not_overwritten(
    letters: DeadLetterFile, path: Path, replaying: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters([2], DOWN, 1)
    theirs = DeadLetterFile(replaying)
    flush = DeadLetterFile._replay

    def slow(self: DeadLetterFile, buffer: Any, timeout: float | None) -> Replayed:
        replayed = flush(self, buffer, timeout)
        if not replaying.exists():
            theirs([1], DOWN, 1)  # after the look at what is left over
        return replayed

    monkeypatch.setattr(DeadLetterFile, "_replay", slow)
    letters.replay(Receiver())
    monkeypatch.undo()

    assert items(path) == [2]
    assert items(replaying) == [1]


@needs_fork
def test_a_child_does_not_keep_its_parent_from_replaying(letters: DeadLetterFile) -> None:
    letters([1], DOWN, 1)
    gate, opener = os.pipe()
    children: list[int] = []

    def live_on() -> None:
        os.close(opener)
        os.read(gate, 1)

    def fork_and_fail() -> None:
        children.append(fork(live_on))
        raise DOWN

    with pytest.raises(OSError, match="down"):
        letters.replay(Receiver(fork_and_fail))
    replayed = letters.replay(Receiver())
    os.close(opener)
    codes = [os.waitpid(child, 0)[1] for child in children]
    os.close(gate)

    assert replayed == Replayed(1, 0)
    assert codes == [0]


@pytest.mark.parametrize(
    ("kind", "letter", "method"),
    [
        ("queue", Entry("key", 1, 0, 0), "put"),
        ("queue", Entry("key", 1, 1, 0), "put_newer"),
        ("map", 1, "push"),
    ],
)
def test_the_wrong_kind_of_buffer_gets_nothing(
    kind: str, letter: Any, method: str, letters: DeadLetterFile, buffers: Buffers
) -> None:
    wrong: Any = getattr(buffers, kind)()
    right: Any = buffers.map() if kind == "queue" else buffers.queue()
    fitting = 1 if kind == "queue" else Entry("key", 1, 0, 0)
    letters([fitting, letter], DOWN, 1)

    with pytest.raises(TypeError, match=rf"has no method {method}\(\): expected a"):
        letters.replay(wrong)
    assert wrong.stats().accepted == 0
    with pytest.raises(TypeError):
        letters.replay(right)
    assert letters.replay(Both()) == Replayed(2, 0)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_bad_timeout_raises_before_anything_is_pushed(
    timeout: float, letters: DeadLetterFile, path: Path
) -> None:
    letters([1], DOWN, 1)
    receiver = Receiver()

    with pytest.raises(ValueError, match=r"timeout=.*: expected a number of seconds"):
        letters.replay(receiver, timeout=timeout)
    assert receiver.received == []
    assert items(path) == [1]


# --- options -------------------------------------------------------------------


async def coroutine(item: Any) -> Any:
    return item


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": 7}, "path=7: expected the path of a file"),
        ({"path": None}, "path=None: expected"),
        ({"path": b"letters"}, "path=b'letters': expected"),
        ({"path": ""}, "path='': expected"),
        ({"path": "/"}, "path='/': expected"),
        ({"encode": 7, "decode": str}, "encode=7: expected a plain function"),
        ({"encode": str, "decode": coroutine}, "decode=<function coroutine .*: expected a plain"),
        ({"encode": str}, "encode=<class 'str'>, decode=None: expected both, or neither"),
        ({"decode": str}, "encode=None, decode=<class 'str'>: expected both, or neither"),
        ({"fsync": 1}, "fsync=1: expected True or False"),
    ],
)
def test_bad_options_raise_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        DeadLetterFile(**{"path": "letters.jsonl"} | options)
