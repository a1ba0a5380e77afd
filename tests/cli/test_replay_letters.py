"""A dead letter file is given back into a buffer of the program."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from partitioned_buffer.dead_letters import DeadLetterFile

Run = Callable[..., tuple[int, str, str]]
Program = Callable[[str], Path]

SHOP = """
    from pathlib import Path

    from partitioned_buffer import Map, PartialFailure, Queue
    from partitioned_buffer.dead_letters import DeadLetterFile

    def note(batch):
        with Path("sink.txt").open("a") as sink:
            sink.writelines(f"{item!r}\\n" for item in batch)

    def picky(batch):
        bad = [item for item in batch if item == 2]
        note(item for item in batch if item != 2)
        raise PartialFailure(reject=bad)

    def stop(batch):
        note(batch)
        raise KeyboardInterrupt

    def ten_more(value):
        return value + 10

    own = DeadLetterFile("dead.jsonl", encode=lambda item: item, decode=ten_more, fsync=False)
    other = DeadLetterFile("other.jsonl", fsync=False)
    queue = Queue("queue", note, partitions=1, dead_letter=other)
    same = Queue("same", note, partitions=1, dead_letter=own)
    choosy = Queue("choosy", picky, partitions=1, dead_letter=other)
    mapped = Map("mapped", note, partitions=1, dead_letter=other)
    losing = Queue("losing", note, partitions=1)
"""


@pytest.fixture
def folder(program: Program) -> Path:
    return program(SHOP)


@pytest.fixture
def letters(folder: Path) -> Path:
    path = folder / "dead.jsonl"
    DeadLetterFile(path, fsync=False)([1, 2, 3], OSError("down"), 4)
    return path


def sunk(folder: Path) -> list[str]:
    path = folder / "sink.txt"
    return path.read_text().split() if path.exists() else []


def test_it_is_given_back_and_forgotten(letters: Path, folder: Path, run: Run) -> None:
    code, out, err = run("replay", letters, "--into", "shop:queue")

    assert (code, err) == (0, "")
    assert out == f"3 given back, 0 kept in {letters}.\n"
    assert sunk(folder) == ["1", "2", "3"]
    assert not letters.exists()


def test_the_programs_own_knows_how_to_decode(letters: Path, folder: Path, run: Run) -> None:
    assert run("replay", "dead.jsonl", "--into", "shop:same")[0] == 0
    assert sunk(folder) == ["11", "12", "13"]


def test_a_function_that_decodes_is_named(letters: Path, folder: Path, run: Run) -> None:
    assert run("replay", letters, "--into", "shop:queue", "--codec", "shop:ten_more")[0] == 0
    assert sunk(folder) == ["11", "12", "13"]


def test_what_is_given_up_again_goes_to_its_handler(letters: Path, folder: Path, run: Run) -> None:
    code, out, _ = run("replay", letters, "--into", "shop:choosy", "--json")

    assert code == 0
    assert json.loads(out)["given_back"] == 3
    assert sunk(folder) == ["1", "3"]
    assert '"item": 2' in (folder / "other.jsonl").read_text()


def test_what_cannot_be_read_stays(letters: Path, folder: Path, run: Run) -> None:
    with letters.open("a") as file:
        file.write("{torn\n")
    code, out, _ = run("replay", letters, "--into", "shop:queue")

    assert code == 1
    assert out.startswith(f"3 given back, 1 kept in {letters}.\nThese stay:\n1 lines that cannot")
    assert letters.read_text() == "{torn\n"


def test_one_that_was_ended_in_the_middle_goes_on(letters: Path, folder: Path, run: Run) -> None:
    aside = letters.with_name("dead.jsonl.replaying")
    letters.rename(aside)
    aside.write_text(aside.read_text().replace("{", "#", 1))
    code, out, _ = run("replay", letters, "--into", "shop:queue")

    assert (code, sunk(folder)) == (0, ["2", "3"])
    assert out.startswith("2 given back, 0 kept")
    assert not aside.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--into", "shop:losing"], "keeps nothing that it gives up again"),
        (["--into", "shop:mapped"], "has no method push(): expected a Queue, for items"),
        (["--into", "shop:queue", "--limit", "2"], "is given back as a whole"),
        (["--into", "shop:queue", "--codec", "shop:gone"], "no attribute 'gone'"),
    ],
)
def test_what_is_no_good_is_refused(
    letters: Path, folder: Path, run: Run, arguments: list[str], words: str
) -> None:
    before = letters.read_text()
    code, out, err = run("replay", letters, *arguments)

    assert (code, out) == (2, "")
    assert words in err
    aside = letters.with_name("dead.jsonl.replaying")
    assert (aside if aside.exists() else letters).read_text() == before
    assert sunk(folder) == []
