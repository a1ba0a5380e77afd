"""What is in the file comes back from it, once, whoever else is at it."""

import errno
import os
import stat
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from helpers import Buffers, join
from letters import DOWN, Order, Receiver, fork, items, needs_fork, needs_locks, order, records

from partitioned_buffer import Entry
from partitioned_buffer.dead_letters import DeadLetterFile, Replayed
from partitioned_buffer.testing import RecordingProcessor
from partitioned_buffer.testing.contract.base import exit_code

pytestmark = pytest.mark.both_faces


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
        gate.wait(60)
        done.append(file.replay(receiver))

    files = [letters, DeadLetterFile(path)] * 4
    threads = [threading.Thread(target=replay, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    join(*threads)

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
        join(thread)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    letters.replay(Receiver())

    assert free == [False]


def test_a_file_set_aside_by_another_process_is_not_overwritten(
    letters: DeadLetterFile, path: Path, replaying: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters([2], DOWN, 1)
    theirs = DeadLetterFile(replaying)
    aside = letters._aside
    replay = aside.replay

    def slow(*arguments: Any) -> Replayed:
        replayed = replay(*arguments)
        if not replaying.exists():
            theirs([1], DOWN, 1)  # after the look at what is left over
        return replayed

    monkeypatch.setattr(aside, "replay", slow)
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
    codes = [exit_code(child) for child in children]
    os.close(gate)

    assert replayed == Replayed(1, 0)
    assert codes == [0]


def test_a_map_gets_nothing_of_a_file_with_items(
    letters: DeadLetterFile, buffers: Buffers, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    letters([Entry("key", 1, 0, 0), 1], DOWN, 1)

    with pytest.raises(TypeError, match=r"has no method push\(\): expected a Queue, for items"):
        letters.replay(mapped)
    assert mapped.stats().accepted == 0
    assert letters.replay(Both()) == Replayed(2, 0)


def test_who_takes_neither_items_nor_entries_gets_nothing(letters: DeadLetterFile) -> None:
    class Neither:
        def flush(self, timeout: float | None = None) -> None:
            raise AssertionError

    letters([Entry("key", 1, 1, 0)], DOWN, 1)

    with pytest.raises(TypeError, match=r"has no method put_newer\(\): expected a Map, for entr"):
        letters.replay(Neither())


def test_entries_that_are_items_of_a_queue_come_back_with_their_neighbours(
    letters: DeadLetterFile, path: Path, buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    items = [Entry("plain", 1, 0, 0), "neighbour", Entry(("a", 1), {"b": 2}, 7, 3)]
    letters(items, DOWN, 1)

    assert letters.replay(queue) == Replayed(3, 0)
    assert processor.items == items
    assert [type(item) for item in processor.items] == [Entry, str, Entry]
    assert not path.exists()


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
