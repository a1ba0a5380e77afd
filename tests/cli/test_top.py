"""`top` asks the page of a process, on loopback; nothing of what that says is trusted."""

import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers import wait_until
from pages import Page, answer, buffer, page
from programs import free_ports

from partitioned_buffer import Queue
from partitioned_buffer.cli.live import asking
from partitioned_buffer.cli.live.looks import COLUMNS, STATES, look_of, seconds
from partitioned_buffer.dashboard import serve
from partitioned_buffer.dashboard.states import WORDS

Run = Callable[..., tuple[int, str, str]]

WANTS = "wants a token: --token, or PARTITIONED_BUFFER_TOKEN"
ODD = "\x1b[31m[bold]a\u202eb\n\x07"


@pytest.fixture
def served() -> Iterator[Page]:
    with page(answer(buffer("events", waiting=1234, rates__in_10s=99.5), buffer("clicks"))) as here:
        yield here


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARTITIONED_BUFFER_TOKEN", raising=False)


# --- what is shown ---------------------------------------------------------------------------


def test_once_prints_a_table(served: Page, run: Run) -> None:
    code, out, err = run("top", served.url, "--once")

    assert (code, err) == (0, "")
    head, columns, *rows = out.splitlines()
    assert head.endswith(" 2 buffers: 2 flowing; process 4711 on web-1, up 3.3 min")
    assert columns.split() == ["name", "state", *COLUMNS]
    assert [row.split()[:2] for row in rows] == [["clicks", "flowing"], ["events", "flowing"]]
    assert rows[1].split()[2:5] == ["100", "0", "1,234"]
    assert served.asked[0][0] == "/buffers/api/buffers"


def test_json_is_what_the_page_says(served: Page, run: Run) -> None:
    code, out, _ = run("top", f"{served.url}/", "--once", "--json")

    assert code == 0
    assert json.loads(out) == served.said
    assert out.count("\n") == 1


def test_the_worst_comes_first_and_is_counted() -> None:
    order = [*reversed(STATES), "flowing"]
    buffers = [buffer(f"b{place}", state) for place, state in enumerate(order)]
    look = look_of(answer(*buffers, buffer("full", "flowing", held=7)))

    assert [row.states[0] for row in look.rows] == sorted([*order, "flowing"], key=STATES.index)
    flowing = [row.name for row in look.rows if row.states == ("flowing",)]
    assert flowing == ["full", "b1", f"b{len(order) - 1}"]
    assert "1 silent, 1 stopped," in look.head
    assert "3 flowing" in look.head


def test_all_troubles_are_said_and_nothing_beside_them() -> None:
    (row,) = look_of(answer(buffer("b", "flowing full outage [red]"))).rows
    assert row.states == ("outage", "full")


def test_what_cannot_be_had_is_a_dash() -> None:
    silent = {"name": "s", "running": None, "states": ["silent"], "stats": None}
    (row,) = look_of(answer(silent)).rows
    assert set(row.numbers) == {"-"}


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"name": 3, "states": [[], 1], "stats": "x"},
        {"name": "n", "stats": {"held": "many", "rates": [1], "p50": True, "waiting": 10**400}},
        {"name": "n", "states": "idle", "stats": {"rates": {"in_10s": {}}, "oldest_age": 1e308}},
    ],
)
def test_what_is_no_number_is_none(odd: dict[str, Any]) -> None:
    said = answer(odd) | {"at": [], "process": "?"}
    (row,) = look_of(said).rows
    assert row.states == ("?",)
    assert set(row.numbers) == {"-"}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"), (0.0, "0 ms"), (0.0001, "0.1 ms"), (0.0421, "42 ms"), (1.26, "1.3 s"),
        (42.0, "42 s"), (125.0, "2.1 min"), (3000.0, "50 min"), (7200.0, "2 h"),
        (90 * 3600.0, "90 h"), (10 * 86400.0, "10 d"),
    ],
)  # fmt: skip
def test_seconds_are_short(number: float | None, text: str) -> None:
    assert seconds(number) == text


def test_names_move_no_terminal(served: Page, run: Run) -> None:
    served.said = answer(buffer(ODD), buffer("x" * 5000)) | {
        "process": {"pid": 1, "host": ODD, "started": 0}
    }
    code, out, _ = run("top", served.url, "--once")

    assert code == 0
    assert r"\x1b[31m[bold]a\u202eb\n\x07" in out
    assert not any(each in out for each in ("\x1b", "\u202e", "\x07"))
    assert len(out.splitlines()) == 4
    assert max(map(len, out.splitlines())) < 200


# --- the token, and no answer --------------------------------------------------------------------


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_token_is_sent(served: Page, run: Run, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTITIONED_BUFFER_TOKEN", "no" if by == "option" else "secret")
    typed = ["--token", "secret"] if by == "option" else []
    run("top", served.url, "--once", *typed)
    assert served.asked[0][1]["Authorization"] == "Bearer secret"


def test_without_a_token_none_is_sent(served: Page, run: Run) -> None:
    run("top", served.url, "--once")
    assert "Authorization" not in served.asked[0][1]


@pytest.mark.parametrize(
    ("status", "headers", "said", "words"),
    [
        (401, {}, {}, "wants a token: --token, or PARTITIONED_BUFFER_TOKEN"),
        (404, {}, {}, "there is nothing at /buffers/api/buffers: expected the page of a process"),
        (302, {"Location": "http://evil/\x7f"}, {}, "leads to http://evil/\\x7f: expected the"),
        (421, {}, {"error": f"no {ODD}"}, r"answers 421 Misdirected Request: no \x1b[31m[bold]"),
        (500, {}, b"<html>", "answers 500 Internal Server Error: expected the page"),
        (200, {}, b"<html>", "is no page of buffers"),
        (200, {}, b"[" * 100_000, "is no page of buffers"),
        (200, {}, b'{"format": 1, "buffers": [], "at": NaN}', "is no page of buffers"),
        (200, {}, {"buffers": []}, "is no page of buffers"),
        (200, {}, {"format": f"2{ODD}", "buffers": []}, r"in format 2\x1b[31m"),
        (200, {}, {"format": 1, "buffers": {}}, "does not list its buffers"),
        (200, {}, {"format": 1, "buffers": [1]}, "does not list its buffers"),
    ],
)
def test_no_answer_is_one_line(
    served: Page, run: Run, status: int, headers: dict[str, str], said: Any, words: str
) -> None:
    served.status, served.headers, served.said = status, headers, said
    code, out, err = run("top", served.url)

    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith(f"partitioned-buffer top: {served.url} ")
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_who_is_not_there_is_one_line(run: Run) -> None:
    (port,) = free_ports(1)
    code, out, err = run("top", f"http://127.0.0.1:{port}")

    assert (code, out) == (2, "")
    assert "does not answer: [Errno" in err
    assert err.count("\n") == 1


def test_another_token_is_wanted(served: Page, run: Run) -> None:
    served.status = 401
    assert "wants another token" in run("top", served.url, "--token", "wrong")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["events.db"], "expected http://HOST:PORT/PATH"),
        (["ftp://host/"], "expected http://HOST:PORT/PATH"),
        (["http://host:x/"], "expected http://HOST:PORT/PATH"),
        (["http://me:secret@host/"], "expected one without, and --token"),
        (["http://host", "--token", "a\nb"], "the token: expected"),
        (["http://host", "--token", "é"], "the token: expected"),
        (["http://host", "--every", "0"], "expected 0.1 to 86,400 seconds"),
        (["http://host", "--every", "nan"], "expected a number of seconds"),
    ],
)
def test_what_is_no_good_is_refused(run: Run, arguments: list[str], words: str) -> None:
    code, out, err = run("top", *arguments)

    assert (code, out) == (2, "")
    assert words in err
    assert "secret" not in err


@pytest.mark.parametrize(
    "says", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"SSH-2\r\n"]
)
def test_who_does_not_end_its_answer_is_cut_off(
    run: Run, monkeypatch: pytest.MonkeyPatch, says: bytes
) -> None:
    monkeypatch.setattr(asking, "LONGEST", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = list[socket.socket]()

        def serve() -> None:
            taken.append(server.accept()[0])
            taken[0].sendall(says)

        thread = threading.Thread(target=serve)
        thread.start()
        code, _, err = run("top", f"http://127.0.0.1:{server.getsockname()[1]}", "--once")
        thread.join()
        taken[0].close()

    assert code == 2
    assert "does not answer: " in err


def test_who_dawdles_is_cut_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LONGEST", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        left = list[int]()

        def serve() -> None:
            client, _ = server.accept()
            with client, suppress(OSError):
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for number in range(1000):
                    left[:] = [1000 - number]
                    client.sendall(b" ")
                    threading.Event().wait(0.02)

        thread = threading.Thread(target=serve)
        thread.start()
        code, _, err = run("top", f"http://127.0.0.1:{server.getsockname()[1]}", "--once")
        thread.join()

    assert (code, left != [1]) == (2, True)
    assert "ends in the middle" in err


def test_an_answer_without_end_is_not_kept(
    served: Page, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST", 1000)
    served.said = b" " * 2000
    assert "more than 1,000 bytes" in run("top", served.url)[2]


def test_no_proxy_is_asked(served: Page, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert run("top", served.url, "--once")[0] == 0


# --- look after look -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_who_goes_away_is_asked_until_it_is_back(
    run: Run, monkeypatch: pytest.MonkeyPatch, served: Page, form: list[str]
) -> None:
    waits = iter([200, 401, 401, 200])

    def sleep(_seconds: float) -> None:
        status = next(waits, None)
        if status is None:
            raise KeyboardInterrupt
        served.status = status

    monkeypatch.setattr("partitioned_buffer.cli.live.screens.time.sleep", sleep)
    code, out, err = run("top", served.url, *form)

    assert code == 130
    assert len(served.asked) == 5
    assert out.count("events") == 3
    assert err.splitlines() == [
        f"partitioned-buffer top: {served.url} {WANTS}. It is asked again and again.",
        "partitioned-buffer top: It answers again.",
    ]


def test_without_rich_a_terminal_gets_lines(
    served: Page, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name in [*sys.modules]:
        if name.partition(".")[0] == "rich" or name.endswith("live.drawing"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("partitioned_buffer.cli.live.screens.time.sleep", interrupted)
    code, out, _ = run("top", served.url)
    assert code == 130
    assert "process 4711 on web-1" in out


# --- the real page -------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "a token that nobody guesses"])
def test_the_page_of_a_process_is_understood(run: Run, token: str | None) -> None:
    is_back = threading.Event()

    def send(_batch: list[int]) -> None:
        if not is_back.is_set():
            raise OSError("down")

    queue = Queue[int](ODD, send, partitions=1, processing_interval=0.1)
    with queue, Queue[int]("still", send, partitions=1), serve(port=0, token=token) as here:
        queue.push(1)
        wait_until(lambda: queue.stats().failed_calls > 0)
        code, out, err = run("top", here.url, "--once", *(["--token", token] if token else []))
        refused = run("top", here.url, "--once")
        is_back.set()
    stats = queue.stats()

    assert (code, err) == (0, "")
    rows = {row[0]: row[1:] for row in (re.split("  +", line) for line in out.splitlines()[2:])}
    assert rows[r"\x1b[31m[bold]a\u202eb\n\x07"][0] == "outage"
    assert rows["still"] == ["idle", "0", "0", "0", "-", "-", "-", "0", "0", "0", "0"]
    assert (refused[0] == 2) is (token is not None)
    assert (stats.accepted, stats.delivered, stats.balanced) == (1, 1, True)


def test_states_are_those_of_the_page_and_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
    assert ("silent", *WORDS) == STATES
    assert re.findall(r"^\| (\w+) \| .*$", page.partition("| State | |")[2], re.MULTILINE)[:10] == [
        *STATES
    ]
