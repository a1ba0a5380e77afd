"""`page` serves the page of a module's buffers, until it is told to end."""

import signal
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from paged import asked, serving

from partitioned_buffer.cli.commands.page import TOKEN

Program = Callable[[str], Path]
Run = Callable[..., tuple[int, str, str]]

SHOP = """
from partitioned_buffer import AsyncQueue, Map, Queue

clicks = Queue("clicks", print, partitions=1).start()
clicks.push(1)
rest = Map("rest", print)
tasks = AsyncQueue("tasks", print)
again = clicks
number = 7
"""
SECRET = "0123456789abcdef"


def refused(url: str, **headers: str) -> int:
    with pytest.raises(HTTPError) as caught:
        asked(url, **headers)
    caught.value.close()
    return caught.value.code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_shows_the_buffers_of_a_module_until_a_signal(
    program: Program, number: signal.Signals
) -> None:
    folder = program(SHOP)
    with serving(folder, "shop") as (process, url):
        assert url.startswith("http://127.0.0.1:")
        told = asked(f"{url}api/buffers")
        assert [(each["name"], each["running"]) for each in told["buffers"]] == [
            ("clicks", True),
            ("rest", False),
            ("tasks", False),
        ]
        assert told["actions"] is False
        with urlopen(url, timeout=30) as page:
            assert "Python" not in page.headers["Server"]
            assert page.headers["X-Frame-Options"] == "DENY"
        assert refused(f"{url}api/buffers", Host="evil.example") == 421
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert out == "[1]\n"  # the program's own end delivers what it holds


def test_it_shows_those_that_are_named(program: Program) -> None:
    folder = program(SHOP.replace(".start()\nclicks.push(1)", ""))
    with serving(folder, "shop:rest", "shop:tasks", "--actions") as (_, url):
        told = asked(f"{url}api/buffers")
        assert [each["name"] for each in told["buffers"]] == ["rest", "tasks"]
        assert told["actions"] is True


def test_what_others_reach_takes_a_token(program: Program, tmp_path: Path) -> None:
    folder, file = program(SHOP), tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    with serving(folder, "shop", "--host", "0.0.0.0", "--token-file", str(file)) as (_, url):
        address = url.replace("0.0.0.0", "127.0.0.1")
        assert refused(f"{address}api/buffers") == 401
        assert asked(f"{address}api/buffers", Authorization=f"Bearer {SECRET}", Host="any.example")
    with serving(folder, "shop", **{TOKEN: SECRET}) as (_, url):
        assert refused(f"{url}api/buffers") == 401


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("shop --host 0.0.0.0", "host='0.0.0.0': others reach it: expected a token"),
        ("shop --host ::", "others reach it"),
        ("shop --host example.org", "others reach it"),
        ("shop:number", "is of type int: expected a Queue, Map"),
        ("shop:nothing", "has no attribute 'nothing'"),
        ("nothing", "there is no module nothing"),
        ("../shop", "there is no module ../shop"),
        ("shop --port 99999", "a port that is free"),
        ("shop --token-file nowhere", "--token-file nowhere: "),
        ("json", "json names no buffers"),
    ],
)
def test_what_cannot_be_is_refused(
    program: Program, run: Run, arguments: str, complaint: str
) -> None:
    program(SHOP.replace(".start()\nclicks.push(1)", ""))
    code, out, errors = run("page", *arguments.split())
    assert (code, out) == (2, "")
    assert complaint in errors


def test_a_token_that_is_guessed_is_refused(
    program: Program, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(SHOP.replace(".start()\nclicks.push(1)", ""))
    monkeypatch.setenv(TOKEN, "short")
    code, _, errors = run("page", "shop")
    assert (code, "16 characters at least" in errors) == (2, True)
