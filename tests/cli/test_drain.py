"""What a file holds is delivered without its program, and what is not stays."""

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stores import begun, chunk, command, in_use, store

from partitioned_buffer import Map, Queue
from partitioned_buffer.abc import Cursor
from partitioned_buffer.storage import SQLite
from partitioned_buffer.storage.sqlite.parts import Part
from partitioned_buffer.storage.sqlite.relayout import begin_layout

pytest.importorskip("msgspec")

Run = Callable[..., tuple[int, str, str]]
Program = Callable[[str], Path]

SHOP = """
    import json
    from dataclasses import dataclass
    from pathlib import Path

    from partitioned_buffer import PartialFailure


    @dataclass
    class Event:
        name: str


    def encode(item):
        return json.dumps(item).encode()


    def decode(data):
        return json.loads(data)


    def note(said):
        with Path("sink.txt").open("a") as sink:
            print(said, file=sink, flush=True)


    def sink(batch):
        note(batch)


    def down(batch):
        raise OSError("down")


    def slow(batch):
        note("begun")
        import time
        time.sleep(0.5)
        note(batch)


    def ends_it(batch):
        import os, signal, time
        if batch == ["end"]:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
        time.sleep(0.01)


    def picky(batch):
        note([item for item in batch if item != 13])
        if 13 in batch:
            raise PartialFailure(reject=[13])


    def add(one, other):
        return one + other


    async def awaited(batch):
        pass


    NUMBER = 7
"""


def down(_batch: object) -> None:
    raise OSError("down")


def sunk(folder: Path) -> list[str]:
    path = folder / "sink.txt"
    return path.read_text().splitlines() if path.exists() else []


def held(run: Run, path: Path) -> Any:
    return json.loads(run("inspect", path, "--json")[1])


def test_all_is_delivered_in_batches(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    with store(path, [1, 2, 3], [4, 5]) as made:
        made.settle(0, 1)
    code, out, err = run("drain", path, "--processor", "shop:sink", "--batch-size", 2)

    assert (code, err) == (0, "")
    assert out == f"4 delivered, 0 left in {path}.\n"
    assert sunk(folder) == ["[2, 3]", "[4, 5]"]
    assert held(run, path)["held"] == 0
    assert run("drain", path, "--processor", "shop:sink")[:2] == (
        0,
        f"0 delivered, 0 left in {path}.\n",
    )


def test_what_a_queue_has_left_is_delivered(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    storage = SQLite(path, fsync="os")
    queue: Queue[Any] = Queue("left", down, storage=storage, partitions=3).start()
    queue.push_all([1, 2])
    queue.push("keyed", partition_key="grace")
    queue.stop(timeout=0)
    code, out, _ = run("drain", path, "--processor", "shop:sink")

    assert (code, "3 delivered" in out) == (0, True)
    assert sorted("".join(sunk(folder))) == sorted("[1, 2]['keyed']")


def test_a_move_that_was_interrupted_goes_on(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    with store(path, [1, 2, 3]) as made:
        made.settle(0, 1)
        begin_layout(made._file, 3, [Part(made.cursor(0), 3), Part(Cursor(), 0)])
    code, out, _ = run("drain", path, "--processor", "shop:sink")

    assert (code, "2 delivered, 0 left" in out) == (0, True)
    assert sunk(folder) == ["[2, 3]"]


def test_ctrl_c_leaves_the_rest(path: Path, run: Run, program: Program) -> None:
    folder = program(SHOP)
    with store(path, [1, 2, 3]):
        pass
    for word in (signal.SIGINT, signal.SIGTERM):
        with begun(folder, "drain", path, "--processor", "shop:down") as process:
            said = until(process, "0 of 3 delivered; last: OSError: down")
            process.send_signal(word)
            out, err = process.communicate(timeout=60)

        assert process.returncode == 1, said + err
        assert out == f"0 delivered, 3 left in {path}.\n"
        assert "Ending: calls of the processor that have begun may return." in err
        assert "RetryAfter" not in err
    assert held(run, path)["held"] == 3


def test_a_call_that_has_begun_at_ctrl_c_returns(path: Path, run: Run, program: Program) -> None:
    folder = program(SHOP)
    with store(path, [1, 2, 3]):
        pass
    command = ("drain", path, "--processor", "shop:slow", "--batch-size", 1)
    with begun(folder, *command) as process:
        while "begun" not in sunk(folder):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (1, f"1 delivered, 2 left in {path}.\n")
    assert sunk(folder) == ["begun", "[1]"]
    assert held(run, path)["held"] == 2


def test_what_ctrl_c_leaves_has_not_failed(path: Path, program: Program) -> None:
    folder = program(SHOP)
    with store(path, ["end"]) as made:
        made.append([(1, *chunk(*range(200)))])
    ended = command("drain", path, "--processor", "shop:ends_it", "--batch-size", 1, folder=folder)

    assert ended.returncode == 1
    assert ended.stderr == "Ending: calls of the processor that have begun may return.\n"


def until(process: "subprocess.Popen[str]", words: str) -> str:
    """Read what it complains of until it says *words*."""
    said = ""
    assert process.stderr is not None
    for line in process.stderr:
        said += line
        if words in line:
            break
    return said


def test_what_is_given_up_is_kept_in_the_file(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    with store(path, [12, 13, 14]):
        pass
    code, out, _ = run("drain", path, "--processor", "shop:picky")

    assert (code, sunk(folder)[0]) == (1, "[12, 14]")
    assert f"2 delivered, 0 left in {path}.\n1 were given up, and are kept in the file" in out
    said = held(run, path)
    assert (said["held"], said["given_up"]) == (0, 1)


def test_what_cannot_be_read_is_said(run: Run, path: Path, program: Program) -> None:
    program(SHOP)
    with store(path, [1]) as made:
        made.append([(0, 1, b"\0\x91\xc1")])
    code, out, _ = run("drain", path, "--processor", "shop:sink")

    assert code == 1
    assert "1 delivered, 0 left" in out
    assert "1 could not be read (undecodable: 1)" in out


@pytest.mark.parametrize(
    ("codec", "item", "options"),
    [
        ("msgspec.msgpack:shop.Event", "Event(name='ada')", ()),
        ("pair:shop.encode,shop.decode", "{'name': 'ada'}", ()),
        ("pickle", "{'name': 'ada'}", ("--allow-pickle",)),
        ("msgspec.msgpack:moved.Event", "Event(name='ada')", ("--codec", "shop:Event")),
    ],
)
def test_the_codec_is_that_of_the_file(
    codec: str, item: str, options: tuple[str, ...], run: Run, path: Path, program: Program
) -> None:
    folder = program(SHOP)
    writes = (lambda each: json.dumps(each).encode(), json.loads)
    with store(path, codec=codec) as made:
        given = writes if codec.startswith("pair") else codec if codec == "pickle" else None
        made.append([(0, *chunk({"name": "ada"}, codec=given))])
    code, _, err = run("drain", path, "--processor", "shop:sink", *options)

    assert (code, err) == (0, "")
    assert sunk(folder) == [f"[{item}]"]


def test_pickle_has_to_be_allowed(run: Run, path: Path, program: Program) -> None:
    program(SHOP)
    with store(path, codec="pickle"):
        pass
    code, _, err = run("drain", path, "--processor", "shop:sink")

    assert code == 2
    assert "give --allow-pickle if" in err


def left_map(path: Path, **options: Any) -> None:
    """Leave a Map's file with three writes of two keys."""
    there: Map[str, int] = Map("left", down, storage=SQLite(path, fsync="os"), **options).start()
    there.put("ada", 1)
    there.put("ada", 2)
    there.put("grace", 3)
    there.stop(timeout=0)


def test_a_map_has_its_entries_delivered(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    left_map(path, partitions=1)
    code, out, err = run("drain", path, "--processor", "shop:sink", "--map")

    assert (code, err) == (0, "")
    assert out == f"2 delivered, 0 left in {path}.\n"
    assert len(sunk(folder)) == 1
    assert "key='ada', value=2" in sunk(folder)[0]


def test_a_map_with_merge_is_given_it(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    left_map(path, partitions=1, merge=lambda one, other: one + other)
    code, _, _ = run("drain", path, "--processor", "shop:sink", "--map", "--merge", "shop:add")

    assert code == 0
    assert "key='ada', value=3" in sunk(folder)[0]


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("Map", ("--processor", "shop:sink"), "is a Map's, not a Queue's: say --map"),
        ("Queue", ("--processor", "shop:sink", "--map"), "not a Map's: leave --map out"),
        ("Queue", ("--processor", "shop:sink", "--merge", "shop:add"), "--merge: expected --map"),
        ("Queue", ("--processor", "shop:gone"), "--processor shop:gone: module 'shop' has no"),
        ("Queue", ("--processor", "gone:sink"), "there is no module gone"),
        ("Queue", ("--processor", "shop:NUMBER"), "it is 7: expected a plain function"),
        ("Queue", ("--processor", "shop:awaited"), "expected a plain function.*asyncio.run"),
        ("Queue", ("--processor", "shop:sink", "--batch-size", "0"), "a whole number from 1"),
        ("Queue", (), "the following arguments are required: --processor"),
    ],
)
def test_what_is_no_good_is_refused(
    kind: str, options: tuple[str, ...], words: str, run: Run, path: Path, program: Program
) -> None:
    folder = program(SHOP)
    with store(path, kind=kind):
        pass
    code, out, err = run("drain", path, *options)

    assert (code, out, sunk(folder)) == (2, "", [])
    assert re.search(words, err), err
    assert "Traceback" not in err


def test_a_file_in_use_is_refused_with_the_pid(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    with in_use(path) as pid:
        done = command("drain", path, "--processor", "shop:sink", folder=folder)

    assert (done.returncode, done.stdout, sunk(folder)) == (2, "", [])
    assert f"process {pid} has it" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_not_made(run: Run, path: Path, program: Program) -> None:
    folder = program(SHOP)
    code, _, err = run("drain", path, "--processor", "shop:sink")

    assert code == 2
    assert "there is no such file" in err
    assert not path.exists()
    assert {each.name for each in folder.iterdir()} <= {"shop.py", "__pycache__"}
