"""Who may ask, and what browsers are told."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from asking import ACTS, act, ask, content
from helpers import Buffers

from partitioned_buffer.dashboard import Page, Request
from partitioned_buffer.dashboard.files import files
from partitioned_buffer.errors import InvalidOption

TOKEN = "correct horse battery staple"


# --- headers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "", "/style.css", "/api/buffers", "/api/buffer", "/nothing", "/api/flush"]
)
def test_browsers_are_told_to_be_careful(path: str) -> None:
    headers = dict(ask(Page(), path).headers)
    policy = dict(
        each.strip().split(" ", 1) for each in headers["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert not any(name.lower().startswith("access-control") for name in headers)
    if path.startswith("/api"):
        assert headers["Cache-Control"] == "no-store"


def test_the_page_has_nothing_that_its_policy_forbids() -> None:
    for name, (kind, _, data) in files().items():
        text = data.decode()
        if name.startswith("vendor/"):
            continue
        for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
            assert forbidden not in text, name
        assert "eval(" not in text, name
        assert "http://" not in text.replace("http://www.w3.org/", ""), name
        assert "https://" not in text, name
        if kind.startswith("text/html"):
            assert "<style" not in text
            assert " style=" not in text
            assert " on" not in text.replace(" on ", " ").split("<body", 1)[0]
    (library,) = [data for name, (_, _, data) in files().items() if name.endswith("min.js")]
    assert b"innerHTML" not in library


# --- the token -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer ä\ud800",
        f"Bearer {TOKEN.upper()}",
    ],
)
def test_without_the_token_there_are_no_numbers(given: str) -> None:
    page = Page(token=TOKEN, actions=True)
    headers: dict[str, Any] = {"authorization": given} if given else {}
    for path in ("/api/buffers", "/api/buffer"):
        response = ask(page, path, **headers)
        assert response.status == 401
        assert dict(response.headers)["WWW-Authenticate"] == "Bearer"
        assert TOKEN.encode() not in response.body
    assert act(page, "/api/flush", "events", **headers)[0] == 401
    assert ask(page, "/").status == 200  # which says nothing, and asks for the token


def test_with_the_token_there_are() -> None:
    for scheme in ("Bearer", "bearer"):
        response = ask(Page(token=TOKEN), "/api/buffers", authorization=f"{scheme} {TOKEN}")
        assert response.status == 200
    assert ask(Page(token=TOKEN), "/api/buffers", f"token={TOKEN}").status == 401


def test_a_token_that_is_easily_guessed_is_refused() -> None:
    with pytest.raises(InvalidOption, match=r"16 characters at least.*token_urlsafe"):
        Page(token="secret")
    with pytest.raises(InvalidOption, match="hosts='a': expected a collection"):
        Page(hosts="a")


# --- names that lead here --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8765", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8765", 200),
        ("evil.example:8765", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("", 421),
    ],
)
def test_a_name_of_another_site_that_leads_here_is_refused(host: str, status: int) -> None:
    page = Page(hosts=["localhost", "127.0.0.1", "::1"])
    for path in ("/", "/api/buffers"):
        assert ask(page, path, host=host).status == status
    assert ask(page, "/").status == 421
    assert ask(Page(), "/", host=host).status == 200


# --- other sites -----------------------------------------------------------------------------

HERE = {"host": "ops.example"}
OTHERS: dict[str, Mapping[str, str]] = {
    "without the header": {"x-partitioned-buffer": ""},
    "of a site": {"sec-fetch-site": "cross-site"},
    "of a sister": {"sec-fetch-site": "same-site"},
    "typed": {"sec-fetch-site": "none"},
    "of an origin": {"origin": "https://evil.example"},
    "of a port": {"origin": "https://ops.example:444"},
    "of nowhere": {"origin": "null"},
    "of nonsense": {"origin": "http://[evil"},
    "of an origin that lies": {"origin": "https://ops.example", "sec-fetch-site": "cross-site"},
}


@pytest.mark.parametrize("how", OTHERS)
def test_what_another_site_has_a_browser_do_is_refused(buffers: Buffers, how: str) -> None:
    queue = buffers.queue(name="events")
    queue.push(1)
    page = Page(actions=True)
    headers = {name: text for name, text in (ACTS | HERE | dict(OTHERS[how])).items() if text}
    for path in ("/api/flush", "/api/replay"):
        response = page.answer(Request("POST", path, "", headers, b'{"name": "events"}'))
        assert response.status == 403, how
    assert queue.stats().held == 1


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"origin": "https://ops.example"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-origin", "origin": "https://behind.a.proxy"},
    ],
)
def test_what_the_page_itself_does_is_done(buffers: Buffers, own: dict[str, str]) -> None:
    queue = buffers.queue(name="events")
    queue.push(1)
    headers = ACTS | HERE | own
    body = json.dumps({"name": "events"}).encode()
    response = Page(actions=True).answer(Request("POST", "/api/flush", "", headers, body))
    assert (response.status, content(response)["flushed"]) == (200, True)
    assert queue.stats().held == 0


@pytest.mark.parametrize("path", ["/api/flush", "/api/replay"])
def test_without_actions_there_are_none(buffers: Buffers, path: str) -> None:
    queue = buffers.queue(name="events")
    queue.push(1)
    status, told = act(Page(), path, "events", host="ops.example", sec_fetch_site="same-origin")
    assert (status, "actions=True" in told["error"]) == (403, True)
    assert queue.stats().held == 1


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"name": "events"}', "text/plain", 415),
        (b'{"name": "events"}', "", 415),
        (b"name=events", "application/x-www-form-urlencoded", 415),
        (b"name=events", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 9000, "application/json", 400),
        (b'["events"]', "application/json", 400),
        (b'{"name": 1}', "application/json", 400),
        (b'{"name": "' + b"x" * 10_000, "application/json", 413),
        (b'{"name": "nobody"}', "application/json; charset=utf-8", 404),
    ],
)
def test_actions_take_json_that_names_a_buffer(body: bytes, kind: str, status: int) -> None:
    headers = ACTS | {"content-type": kind}
    for path in ("/api/flush", "/api/replay"):
        response = Page(actions=True).answer(Request("POST", path, "", headers, body))
        assert response.status == status
