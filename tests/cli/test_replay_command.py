"""What was given up, and is kept in a file, is given back into a buffer of the program."""

import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stores import begun, chunk, command, in_use, store

from partitioned_buffer._core.backing.map.log import KEPT, OWN, join
from partitioned_buffer.storage.codec import make_codec
from partitioned_buffer.storage.keys import make_keys

pytest.importorskip("msgspec")

Run = Callable[..., tuple[int, str, str]]
Program = Callable[[str], Path]

SHOP = """
    from pathlib import Path

    from partitioned_buffer import AsyncQueue, Map, Queue
    from partitioned_buffer.errors import Reject
    from partitioned_buffer.storage import SQLite


    def note(said):
        with Path("sink.txt").open("a") as sink:
            print(said, file=sink, flush=True)


    def sink(batch):
        note(batch)


    def down(batch):
        note("called")
        raise OSError("down")


    def reject(batch):
        raise Reject("never")


    queue = Queue("shop", sink, partitions=1, processing_batch_size=1000)
    small = Queue("small", sink, partitions=1, max_size=2, when_full="raise")
    same = Queue("same", sink, storage=SQLite("events.db", fsync="os"), partitions=2)
    rejecting = Queue("same", reject, storage=SQLite("events.db", fsync="os"), partitions=2)
    refusing = Map("refusing", reject, storage=SQLite("events.db", fsync="os"), partitions=1)
    losing = Queue("losing", reject)
    typed = Queue("typed", sink, storage=SQLite("typed.db", codec=str, fsync="os"))
    broken = Queue("broken", down, partitions=1)
    tight = Map("tight", sink, partitions=1, max_size=2, when_full="raise", merge=int.__add__)
    mapped = Map("map", sink, partitions=1)
    awaited = AsyncQueue("awaited", sink)
"""


def sunk(folder: Path) -> list[str]:
    path = folder / "sink.txt"
    return path.read_text().splitlines() if path.exists() else []


def dead(path: Path, *pieces: tuple[Any, ...], **options: Any) -> None:
    """Make a store that keeps *pieces* as given up."""
    with store(path, **options) as made:
        for piece in pieces:
            count, data = chunk(*piece)
            made.bury(0, data[1:], count, "OSError: down", 8)


def dead_entries(path: Path, entries: dict[Any, tuple[Any, int | None]]) -> None:
    """Make a Map's store that keeps *entries*, values and versions by keys, as given up."""
    codec = make_codec()
    keys = make_keys(codec)
    ops = [
        (KEPT, 0, keys.encode(key), codec.encode(value), version, OWN)
        for key, (value, version) in entries.items()
    ]
    with store(path, kind="Map", partitions=1) as made:
        made.bury(0, join(ops, codec), len(ops), "OSError: down", 8)


def given_up(run: Run, path: Path) -> Any:
    return json.loads(run("inspect", path, "--json")[1])["given_up"]


def test_it_is_given_back_and_forgotten(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    dead(path, (1, 2), ("three",))
    code, out, err = run("replay", path, "--into", "shop:queue")

    assert (code, err) == (0, "")
    assert out == f"3 given back, 0 kept in {path}.\n"
    assert sunk(folder) == ["[1, 2, 'three']"]
    assert given_up(run, path) == 0


def test_into_the_buffer_of_the_same_file(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    dead(path, (1, 2), ("three",))
    code, _, err = run("replay", path, "--into", "shop:same")

    assert (code, err) == (0, "")
    assert sorted("".join(sunk(folder))) == sorted("[1, 2]['three']")
    assert given_up(run, path) == 0


def test_what_is_given_up_again_is_kept_again(run: Run, path: Path, program: Program) -> None:
    program(SHOP)
    dead(path, (1,), (2,))
    code, out, _ = run("replay", path, "--into", "shop:rejecting")

    assert (code, "2 given back, 2 kept" in out) == (0, True)
    assert given_up(run, path) == 2


def test_what_nobody_keeps_is_not_forgotten(run: Run, path: Path, program: Program) -> None:
    program(SHOP)
    dead(path, (1,), (2,))
    code, out, _ = run("replay", path, "--into", "shop:losing")

    assert (code, given_up(run, path)) == (1, 2)
    assert "0 given back, 2 kept" in out
    assert "2 items, of which 2 were given up again: <Queue 'losing'" in out


def test_what_another_storage_does_not_take_stays(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    dead(path, (1,), ("two",))
    code, out, _ = run("replay", path, "--into", "shop:typed")

    assert (code, sunk(folder), given_up(run, path)) == (1, ["['two']"], 1)
    assert "1 items, number 1: item 0 of 1 (from 0) cannot be stored: 1" in out


def test_a_maps_entries_go_into_a_map(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    dead_entries(path, {("tea", 1): (4.2, 7), "milk": (1, None)})
    with store(path, kind="Map", partitions=1) as made:
        made.bury(0, b"no log", 1, "down", 1)
    code, out, _ = run("replay", path, "--into", "shop:mapped")

    assert (code, given_up(run, path)) == (1, 1)
    assert "key=('tea', 1), value=4.2, version=7" in sunk(folder)[0]
    assert "key='milk', value=1, version=0" in sunk(folder)[0]
    assert "2 given back, 1 kept" in out
    assert "1 items, number 2: 1 ops of a Map's log cannot be read" in out


def test_a_map_keeps_what_it_gives_up_again(run: Run, path: Path, program: Program) -> None:
    program(SHOP)
    dead_entries(path, {"tea": (1, 7), "milk": (2, None)})
    code, _, _ = run("replay", path, "--into", "shop:refusing")

    assert (code, given_up(run, path)) == (0, 2)
    code, _, _ = run("replay", path, "--into", "shop:mapped")
    assert (code, given_up(run, path)) == (0, 0)


def test_a_full_map_gets_each_entry_once(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    dead_entries(path, {str(each): (1, None) for each in range(5)})
    code, _, _ = run("replay", path, "--into", "shop:tight")

    assert code == 0
    assert sum("".join(sunk(folder)).count(f"key='{each}', value=1,") for each in range(5)) == 5


def test_a_limit_leaves_the_rest(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    dead(path, (1, 2), (3,), (4,))
    code, out, _ = run("replay", path, "--into", "shop:queue", "--limit", 1)

    assert (code, out) == (0, f"2 given back, 2 kept in {path}.\n")
    assert sunk(folder) == ["[1, 2]"]
    assert given_up(run, path) == 2


def test_one_that_runs_is_left_running(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP + "\n    queue.start()\n")
    dead(path, (1,))
    code, _, _ = run("replay", path, "--into", "shop:queue")
    shop = sys.modules["shop"]

    assert (code, sunk(folder), shop.queue.running) == (0, ["[1]"], True)
    shop.queue.stop()


def test_one_of_the_file_that_runs_is_used(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP + "\n    same.start()\n")
    dead(path, (1,))
    code, _, err = run("replay", path, "--into", "shop:same")
    shop = sys.modules["shop"]

    assert (code, err, sunk(folder), shop.same.running) == (0, "", ["[1]"], True)
    shop.same.stop()


def test_a_full_buffer_is_flushed(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    dead(path, (1, 2), (3, 4), (5,))
    code, _, _ = run("replay", path, "--into", "shop:small")

    assert (code, sunk(folder)) == (0, ["[1, 2]", "[3, 4]", "[5]"])


def test_more_than_fits_is_said(run: Run, path: Path, program: Program) -> None:
    program(SHOP)
    dead(path, (1, 2, 3))
    code, _, err = run("replay", path, "--into", "shop:small")

    assert code == 2
    assert "Traceback" not in err
    assert given_up(run, path) == 3


def test_what_cannot_be_read_stays(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    dead(path, (1,))
    with store(path) as made:
        made.bury(0, b"\x91\xc1", 1, "down", 1)
    code, out, _ = run("replay", path, "--into", "shop:queue")

    assert (code, sunk(folder), given_up(run, path)) == (1, ["[1]"], 1)
    assert "1 given back, 1 kept" in out
    assert "These stay:\n1 items, number 2: 1 records" in out


def test_ctrl_c_keeps_what_is_not_settled(path: Path, run: Run, program: Program) -> None:
    folder = program(SHOP)
    dead(path, (1, 2))
    with begun(folder, "replay", path, "--into", "shop:broken") as process:
        while "called" not in sunk(folder):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (1, f"0 given back, 2 kept in {path}.\n")
    assert "Ending: what is not settled stays" in err
    assert given_up(run, path) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--into", "shop:sink"), "it is of type function: expected a Queue or a Map"),
        (("--into", "shop:awaited"), "it is of type AsyncQueue: expected a Queue or a Map"),
        (("--into", "shop:awaited"), r"asyncio\.to_thread\(letters\.replay, buffer\)"),
        (("--into", "shop:mapped"), "<Map 'map' new.*: expected a Queue, as .* is one's"),
        (("--into", "shop:gone"), "--into shop:gone: module 'shop' has no attribute"),
        (("--into", "shop:queue", "--limit", "0"), "expected a whole number from 1"),
        ((), "required: --into"),
    ],
)
def test_what_is_no_good_is_refused(
    options: tuple[str, ...], words: str, run: Run, path: Path, program: Program
) -> None:
    program(SHOP)
    dead(path, (1,))
    code, out, err = run("replay", path, *options)

    assert (code, out) == (2, "")
    assert re.search(words, err), err
    assert given_up(run, path) == 1


@pytest.mark.parametrize("buffer", ["queue", "same"])
def test_a_file_in_use_is_refused(buffer: str, path: Path, program: Program) -> None:
    folder = program(SHOP)
    with in_use(path) as pid:
        done = command("replay", path, "--into", f"shop:{buffer}", folder=folder)

    assert (done.returncode, done.stdout, sunk(folder)) == (2, "", [])
    assert f"process {pid} has it" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("buffer", ["queue", "same"])
def test_a_file_that_is_not_there_is_not_made(
    buffer: str, run: Run, path: Path, program: Program
) -> None:
    program(SHOP)
    code, _, err = run("replay", path, "--into", f"shop:{buffer}")

    assert code == 2
    assert "there is no such file" in err
    assert not path.exists()
