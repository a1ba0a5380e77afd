"""What a command is given by name, and what codec a file names."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from partitioned_buffer.cli.codecs import codec_named
from partitioned_buffer.cli.names import dotted, typed
from partitioned_buffer.errors import InvalidOption

pytest.importorskip("msgspec")

PROGRAM = """
import json, os, pickle
from dataclasses import dataclass


@dataclass
class Event:
    name: str

    @classmethod
    def from_bytes(cls, data):
        return cls(data.decode())


@dataclass
class Other:
    number: int


def encode(item):
    return json.dumps(item).encode()


def decode(data):
    return json.loads(data)


def make(codec):
    from partitioned_buffer.storage.codec import make_codec

    return make_codec(codec)


MOVED = (encode, decode)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program in the folder that the commands are run in."""
    before = set(sys.modules)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "events.py").write_text(textwrap.dedent(PROGRAM))
    (tmp_path / "shop" / "broken.py").write_text("\nnothing_of_the_kind\n")
    (tmp_path / "shop" / "needs.py").write_text("import of_somebody_else\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_what_is_typed_is_found_where_the_command_is_run(shop: Path) -> None:
    assert typed("--processor", "shop.events:encode")([1]) == b"[1]"
    assert typed("--processor", "shop.events:Event.from_bytes")(b"a").name == "a"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shop.events", "expected module:name, as in"),
        (":encode", "expected module:name"),
        ("shop.events:", "expected module:name"),
        ("shop.gone:encode", "there is no module shop.gone in .*, nor on Python's path"),
        ("gone:encode", "there is no module gone"),
        ("shop.events:gone", "has no attribute 'gone': expected the name of something"),
        ("shop.broken:encode", "NameError: .*nothing_of_the_kind.*broken.py, line 2"),
        ("shop.needs:encode", "importing shop.needs failed with ModuleNotFoundError: .*somebody"),
    ],
)
def test_a_name_of_nothing_is_said(text: str, words: str, shop: Path) -> None:
    with pytest.raises(InvalidOption, match=words):
        typed("--processor", text)


@pytest.mark.parametrize(
    "kind",
    [
        "Event",
        "Event | int",
        "None | Other",
        "list[Event]",
        "dict[str, tuple[int, ...]]",
        "__import__('typing').Literal['b', 1]",
        "__import__('datetime').datetime",
        "(encode, decode)",
        "(encode, Event.from_bytes)",
        "(str.encode, bytes.decode)",
        "None",
    ],
)
def test_a_codec_is_found_by_the_name_in_the_file(kind: str, shop: Path) -> None:
    events = dotted("shop.events")
    made = events.make(eval(kind, vars(events)))
    found = codec_named(made.name, given=None, allow_pickle=False)

    assert found.name == made.name
    assert found._decode is made._decode or type(found) is type(made)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("msgspec.msgpack:shop.events.Gone", "shop.events has no Gone. Give --codec module:name"),
        ("msgspec.msgpack:gone.Event", "no module gone"),
        ("msgspec.msgpack:shop.events.f.<locals>.Event", "is no name that can be imported"),
        ("msgspec.msgpack:shop.events.Event()", "is no name that can be imported"),
        ("pair:shop.events.encode", "only its program knows"),
        ("pair:shop.events.encode,shop.events.<lambda>", "has no <lambda>"),
        ("my own 1", "only its program knows what that is. Give --codec"),
        ("msgspec.msgpack:shop.broken.Event", "NameError"),
    ],
)
def test_a_codec_that_is_not_there_is_said(name: str, words: str, shop: Path) -> None:
    with pytest.raises(InvalidOption, match=words) as caught:
        codec_named(name, given=None, allow_pickle=False)
    assert f"written with codec {name}" in str(caught.value)


def test_one_that_has_moved_is_given(shop: Path) -> None:
    found = codec_named("my own 1", given="shop.events:MOVED", allow_pickle=False)

    assert found.name == "my own 1"
    assert found.decode(found.pack([{"a": 1}]), 1) == [{"a": 1}]


@pytest.mark.parametrize(
    "name",
    [
        "pickle",
        "pair:_pickle.dumps,_pickle.loads",
        "pair:builtins.bytes,posix.system",
        "pair:shop.events.encode,builtins.eval",
    ],
)
def test_what_can_run_anything_has_to_be_allowed(name: str, shop: Path) -> None:
    with pytest.raises(InvalidOption, match="give --allow-pickle if nobody"):
        codec_named(name, given=None, allow_pickle=False)


def test_pickle_can_be_allowed(shop: Path) -> None:
    assert codec_named("pickle", given=None, allow_pickle=True).name == "pickle"


def test_a_function_of_another_module_is_not_found_through_one(shop: Path) -> None:
    name = "pair:shop.events.encode,shop.events.os.system"
    with pytest.raises(InvalidOption, match=r"what has that name now is .*system"):
        codec_named(name, given=None, allow_pickle=False)
