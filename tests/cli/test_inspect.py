"""What is in a file, told without the program that wrote it; what cannot be read is said."""

import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journals import crashed, look_in, opened
from stores import begun, chunk, command, in_use, store

from partitioned_buffer._core.backing.queue.hashes import with_hashes
from partitioned_buffer.abc import Cursor
from partitioned_buffer.storage.codec import make_codec
from partitioned_buffer.storage.sqlite.parts import Part
from partitioned_buffer.storage.sqlite.relayout import begin_layout

pytest.importorskip("msgspec")

Run = Callable[..., tuple[int, str, str]]


def change(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


def content(path: Path) -> list[str]:
    """Return all that is in the files; SQLite counts how often it was opened."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        said = list(db.iterdump())
    beside = path.parent.glob("events.db-*")
    return [*said, *(f"{each.name} {each.read_bytes().hex()}" for each in sorted(beside))]


def told(run: Run, path: Path, *options: object) -> Any:
    code, out, err = run("inspect", path, "--json", *options)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_it_counts_what_is_held_and_shows_the_first_items(run: Run, path: Path) -> None:
    with store(path, [{"user": "ada"}, 2, 3], ["four"]) as made:
        made.append([(1, *chunk(b"five"))])
        made.settle(0, 2)
    said = told(run, path)

    assert (said["kind"], said["codec"], said["format"]) == ("Queue", "msgspec.msgpack", 1)
    assert (said["partitions"], said["held"], said["damaged"]) == (2, 3, 0)
    first, second = said["each"]
    assert first == {
        "partition": 0,
        "held": 2,
        "cursor": 2,
        "end": 4,
        "oldest": 2,
        "damaged": 0,
        "given_up": 0,
    }
    assert (second["held"], second["oldest"]) == (1, 0)
    assert [(each["partition"], each["position"], each["item"]) for each in said["first"]] == [
        (0, 2, 3),
        (0, 3, "four"),
        (1, 0, "b'five'"),
    ]
    assert said["files"]["events.db"] > 0
    assert said["trouble"] == []


def test_people_get_tables(run: Run, path: Path) -> None:
    with store(path, ["\x1b[31mred"]) as made:
        made.bury(0, chunk("x")[1], 1, "OSError: down", 8)
    code, out, _ = run("inspect", path)

    assert code == 0
    assert "A Queue of 2 partitions, codec msgspec.msgpack, format 1." in out
    assert "1 held, 1 given up, 0 damaged." in out
    assert "The first was given up on 20" in out
    assert "partition 0, position 0: '\\x1b[31mred'" in out
    assert "\x1b" not in out
    rows = [line.split() for line in out.splitlines()]
    assert ["0", "1", "0", "1", "0", "1", "0"] in rows
    assert ["1", "0", "0", "0", "-", "0", "0"] in rows
    assert ["all", "1", "0", "1", "-", "1", "0"] in rows


def test_what_is_settled_but_for_a_few_shows_the_few(run: Run, path: Path) -> None:
    with store(path, [0, 1, 2], [3, 4, 5]) as made:
        made.settle(0, 5, (1,))
    said = told(run, path)

    assert (said["held"], said["each"][0]["oldest"]) == (2, 1)
    assert [each["item"] for each in said["first"]] == [1, 5]


@pytest.mark.parametrize(("most", "expected"), [(0, []), (1, ["a"]), (3, ["a", "b", "c"])])
def test_some_items_of_each_partition_are_shown(
    most: int, expected: list[str], run: Run, path: Path
) -> None:
    with store(path, ["a", "b", "z"]) as made:
        made.append([(1, *chunk("c", "d"))])
    said = told(run, path, "--items", most)

    assert [each["item"] for each in said["first"]] == expected


def test_hashes_for_routing_are_stepped_over(run: Run, path: Path) -> None:
    with store(path) as made:
        made.append([(0, 2, with_hashes(make_codec().pack(["a", "b"]), [-1, 7]))])

    assert [each["item"] for each in told(run, path)["first"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("codec", "name", "words"),
    [
        ((str.encode, bytes.decode), "pair:app.encode,app.decode", "3 bytes of pair:app.encode"),
        ((str.encode, bytes.decode), "pickle", "3 bytes of pickle"),
        ((str.encode, bytes.decode), "my own 1", "2 items, 16 bytes of my own 1"),
    ],
)
def test_of_other_codecs_the_length_is_told(
    codec: Any, name: str, words: str, run: Run, path: Path
) -> None:
    with store(path, codec=name) as made:
        made.append([(0, *chunk("abc", "d", codec=codec))])

    said = told(run, path)["first"]
    assert words in said[0]["said"]


def test_items_of_a_type_are_shown_without_it(run: Run, path: Path) -> None:
    with store(path, [{"name": "ada"}], codec="msgspec.msgpack:gone.Event"):
        pass

    assert told(run, path)["first"][0]["item"] == {"name": "ada"}


@pytest.mark.parametrize("item", [dt.datetime(2026, 1, 2, tzinfo=dt.UTC), {1: {(2, 3): 4}}])
def test_what_json_cannot_hold_is_its_repr(item: Any, run: Run, path: Path) -> None:
    with store(path, [item]):
        pass

    said = told(run, path)["first"][0]["item"]
    assert said == repr(item) or isinstance(item, dict)


def test_without_msgspec_the_length_is_told(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(path, ["a", "b"]):
        pass
    monkeypatch.setitem(__import__("sys").modules, "msgspec", None)

    assert told(run, path)["first"][0]["said"] == "2 items, 5 bytes of msgspec.msgpack"


def test_what_does_not_decode_is_said(run: Run, path: Path) -> None:
    with store(path, ["a"]) as made:
        made.append(
            [(0, 2, b"\0nonsense"), (0, 1, b"?"), (0, 1, b"\1\2"), (0, 1, b"\0\x91\xa1\xff")]
        )
    texts = [each.get("said", each.get("item")) for each in told(run, path)["first"]]

    assert texts[0] == "a"
    assert "2 records" in texts[1]
    assert "begins with 3f" in texts[2]
    assert "ends in the hashes" in texts[3]
    assert texts[4].startswith("cannot be decoded (2 bytes): ")


def test_what_is_damaged_is_counted(run: Run, path: Path) -> None:
    with store(path, ["a", "b"], ["c"]) as made:
        made.bury(0, chunk("x")[1], 1, "down", 1)
        made.bury(0, chunk("y", "z")[1], 2, "down", 1)
    change(path, "update chunk set crc=0 where id=0")
    change(path, "update buried set data=7, error=null where id=2")
    change(path, "insert into damaged(chunk, n, crc, data) values(1, 2, 3, x'00')")
    said = told(run, path)

    assert (said["held"], said["damaged"], said["each"][0]["damaged"]) == (3, 2, 2)
    assert (said["given_up"], said["given_up_damaged"]) == (3, 2)
    assert said["damaged_rows_set_aside"] == 1
    assert [each["item"] for each in said["first"]] == ["c"]
    out = run("inspect", path)[1]
    assert "2 of what was given up are damaged" in out
    assert "1 damaged rows were set aside" in out


@pytest.mark.parametrize("column", ["n", "time", "p", "attempts"])
def test_a_number_that_is_none_is_not_fatal(column: str, run: Run, path: Path) -> None:
    with store(path, ["a"]) as made:
        made.bury(0, chunk("x")[1], 1, "down", 1)
    change(path, f"update buried set {column}='much'")

    assert told(run, path)["held"] == 1
    assert run("inspect", path)[0] == 0


def test_a_page_that_cannot_be_read_is_not_fatal(run: Run, path: Path) -> None:
    with store(path) as made:
        for letter in "abcdef":
            made.append([(0, *chunk(letter * 5000))])
            made.bury(0, chunk(letter.upper() * 5000)[1], 1, "down", 1)
    content = bytearray(path.read_bytes())
    content[content.index(b"C" * 100) // 8192 * 8192] = 0xFF
    content[content.index(b"c" * 100) // 8192 * 8192] = 0xFF
    path.write_bytes(content)
    said = told(run, path)

    assert said["held"] == 6
    assert 1 <= said["damaged"] <= 4
    assert "what was given up cannot be read to its end" in said["trouble"][0]
    assert "Trouble: what was given up" in run("inspect", path)[1]


def test_a_map_is_counted(run: Run, path: Path) -> None:
    with store(path, ["not", "items"], kind="Map"):
        pass
    said = told(run, path)

    assert (said["kind"], said["held"], said["first"]) == ("Map", 2, [])


def test_a_move_that_was_interrupted_is_said(run: Run, path: Path) -> None:
    with store(path, ["a"]) as made:
        begin_layout(made._file, 3, [Part(Cursor(), 1), Part(Cursor(), 0)])
    said = told(run, path)

    assert (said["moving"], said["partitions"]) == (2, 3)
    assert "from 2 partitions to 3" in said["trouble"][0]
    assert "Trouble: it was being moved" in run("inspect", path)[1]


def test_it_changes_nothing(run: Run, path: Path) -> None:
    with store(path, ["a", "b"]) as made:
        made.settle(0, 1)
    before = content(path)
    told(run, path)

    assert content(path) == before


def test_what_a_killed_program_left_is_read(run: Run, path: Path, tmp_path: Path) -> None:
    with store(path, ["a"], ["b"]):
        there = crashed(path, tmp_path / "there")

    assert told(run, there)["held"] == 2


def test_a_file_in_use_is_refused_with_the_pid(run: Run, path: Path) -> None:
    with in_use(path) as pid:
        code, out, err = run("inspect", path)
        done = command("inspect", path)
        assert look_in(path, "select count(*) from chunk") == "[[1]]"

    assert (code, out) == (2, "")
    assert f"process {pid} has it: stop that one first" in err
    assert (done.returncode, done.stdout, done.stderr) == (2, "", err)
    assert told(run, path)["held"] == 1


def test_one_of_this_process_keeps_its_locks(run: Run, path: Path) -> None:
    """SQLite's locks are the process's: who opened the file itself would drop them."""
    with store(path, ["a"]) as made:
        assert run("inspect", path)[0] == 2
        assert look_in(path, "select count(*) from chunk") == "[[1]]"
        made.append([(0, *chunk("b"))])
        assert path.with_name("events.db-wal").exists()

    assert told(run, path)["held"] == 2


def test_a_file_that_is_not_there_is_not_made(run: Run, path: Path) -> None:
    code, _, err = run("inspect", path)

    assert code == 2
    assert "there is no such file" in err
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty: expected"), (b"no database, " * 1000, "is no SQLite database")],
)
def test_a_file_that_no_buffer_wrote_is_refused(
    content: bytes, words: str, run: Run, path: Path
) -> None:
    path.write_bytes(content)
    code, _, err = run("inspect", path)

    assert (code, path.read_bytes()) == (2, content)
    assert words in err
    assert [each.name for each in path.parent.iterdir()] == ["events.db"]


def test_a_folder_is_refused(run: Run, path: Path) -> None:
    assert run("inspect", path.parent)[0] == 2


def test_another_programs_database_is_refused(run: Run, path: Path) -> None:
    change(path, "create table notes(a)")
    code, _, err = run("inspect", path)

    assert code == 2
    assert "another program's database" in err


def test_terms_that_are_damaged_are_said(run: Run, path: Path) -> None:
    opened(path).close()
    change(path, "delete from meta where k='codec'")
    code, _, err = run("inspect", path)

    assert code == 2
    assert "is damaged" in err


def test_it_is_a_program(path: Path) -> None:
    with store(path, ["a"]):
        pass
    done = command("inspect", path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "1 held, 0 given up, 0 damaged." in done.stdout


@pytest.mark.parametrize("number", ["-1", "many"])
def test_a_number_of_items_that_is_none_is_refused(number: str, run: Run, path: Path) -> None:
    code, _, err = run("inspect", path, "--items", number)

    assert code == 2
    assert "expected a whole number from 0" in err


def test_who_reads_no_further_gets_no_traceback(path: Path) -> None:
    with store(path, ["a"]):
        pass
    with begun(path.parent, "inspect", path) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (1, "")


def test_ctrl_c_is_no_traceback(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("partitioned_buffer.cli.inspecting.report_of", interrupted)

    assert run("inspect", path) == (130, "", "")


@pytest.mark.parametrize("arguments", [("--help",), ("inspect", "--help"), ()])
def test_it_says_how_it_is_used(arguments: tuple[str, ...], run: Run) -> None:
    code, out, err = run(*arguments)

    assert code == (0 if arguments else 2)
    assert "usage: partitioned-buffer" in out + err
