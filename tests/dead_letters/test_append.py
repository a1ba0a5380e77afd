"""What is given up is in the file, in whole lines."""

import os
import stat
import threading
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from helpers import join
from letters import DOWN, Receiver, fork, items, needs_fork, records

from partitioned_buffer import Entry, InvalidOption, Queue
from partitioned_buffer.abc import DeadLetterHandler
from partitioned_buffer.dead_letters import DeadLetterFile, Replayed
from partitioned_buffer.testing.contract.base import exit_code

pytestmark = pytest.mark.both_faces


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


def test_what_an_end_has_left_says_why(letters: DeadLetterFile, path: Path) -> None:
    def refuse(batch: list[int]) -> None:
        raise OSError("down")

    with Queue("letters", refuse, partitions=1, dead_letter=letters, exit_timeout=0.1) as queue:
        queue.push(1)

    assert records(path)[0]["error"].startswith("Undelivered: buffer 'letters' ")
    assert records(path)[0]["error"].endswith(" (OSError: down)")


def test_an_error_without_a_text_does_not_matter(letters: DeadLetterFile, path: Path) -> None:
    letters([1], Mute(), 1)

    assert records(path)[0]["error"].startswith("Mute: <")


class Nameless:
    def __repr__(self) -> str:
        raise GeneratorExit


def test_an_item_that_cannot_be_encoded_is_kept_as_its_repr(
    letters: DeadLetterFile, path: Path, caplog: pytest.LogCaptureFixture
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
    (said,) = caplog.messages
    assert said.startswith(f"4 of 6 dead letters are in {path} as their repr, which no replay")


def test_dates_and_numbers_that_json_has_not_are_text(
    letters: DeadLetterFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noon, number = datetime(2026, 11, 30, 12, tzinfo=UTC), UUID(int=7)
    row = {"at": noon, "day": noon.date(), "id": number, "price": Decimal("4.20")}
    letters([row, Entry("tea", (noon.timetz(),), 0, 0), Entry(number, 1, 0, 0)], DOWN, 1)

    of_a_queue, of_a_map, another_key = records(path)
    assert of_a_queue["item"] == {
        "at": "2026-11-30T12:00:00+00:00",
        "day": "2026-11-30",
        "id": "00000000-0000-0000-0000-000000000007",
        "price": "4.20",
    }
    assert of_a_map["entry"]["value"] == ["12:00:00+00:00"]
    assert "repr" in another_key, "as text it would be another key"
    assert len(caplog.messages) == 1


def test_what_an_encode_of_ones_own_makes_is_not_changed(path: Path) -> None:
    letters = DeadLetterFile(path, encode=lambda item: item, decode=lambda item: item)
    letters([date(2026, 11, 30)], DOWN, 1)

    assert "repr" in records(path)[0], "its decode may want the date"


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


@pytest.mark.parametrize("times", [1, 2, 3, 50])
def test_what_is_written_in_the_middle_of_replays_is_never_lost(
    times: int, letters: DeadLetterFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever replays: each time that the writer has opened the file, it is set aside, and gone."""
    other, receiver = DeadLetterFile(path), Receiver()
    write, overtaken = os.write, 0

    def overtaking(fd: int, data: bytes) -> int:
        nonlocal overtaken
        overtaken += 1
        if overtaken <= times:
            monkeypatch.setattr(os, "write", write)
            other.replay(receiver)
            monkeypatch.setattr(os, "write", overtaking)
        return write(fd, data)

    monkeypatch.setattr(os, "write", overtaking)
    letters([1], DOWN, 1)
    monkeypatch.undo()
    other.replay(receiver)

    assert receiver.received == [1]
    assert not path.exists()


def test_a_file_that_is_always_taken_away_is_an_error(
    letters: DeadLetterFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def overtaken(fd: int, data: bytes) -> int:
        path.unlink()
        return write(fd, data)

    monkeypatch.setattr(os, "write", overtaken)

    with pytest.raises(OSError, match="taken away 100 times") as raised:
        letters([1], DOWN, 1)
    assert raised.value.filename == str(path)


def test_a_file_system_whose_files_never_look_the_same_will_do(
    letters: DeadLetterFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "samestat", lambda one, other: False)
    letters([1, 2], DOWN, 1)
    letters([3], DOWN, 1)

    assert items(path) == [1, 2, 3]


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
        gate.wait(60)
        for number in range(20):
            letters([[me, number, "x" * 3000], [me, number]], DOWN, 1)

    threads = [threading.Thread(target=append, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    join(*threads)

    written = [item[:2] for item in items(path)]
    assert sorted(written) == sorted(
        [me, number] for me in range(8) for number in range(20) for _ in range(2)
    )
    assert b"\n\n" not in path.read_bytes()


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
    codes = [exit_code(child) for child in children]
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
    join(writer)
    os.close(opener)
    code = exit_code(child)
    os.close(gate)

    assert code == 0


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
