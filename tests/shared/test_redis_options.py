"""Options of `Redis`: what they take, and what is said of what they do not."""

import importlib.util
from typing import Any

import pytest

from partitioned_buffer.abc.sharing import SharedTerms
from partitioned_buffer.errors import InvalidOption
from partitioned_buffer.storage import Redis, SQLite

URL = "redis://localhost:1"


def test_defaults() -> None:
    storage = Redis(URL, codec="pickle")

    assert (storage.ack, storage.ack_timeout, storage.front) == ("local", 5.0, None)
    assert (storage.lease, storage.window, storage.limit) == (10.0, 1000, None)
    assert storage.deliver is True
    assert storage.codec.name == "pickle"
    assert storage.keys.decode(storage.keys.encode("a")) == "a"
    assert storage.hash("a") == SQLite("x", codec="pickle").hash("a")


@pytest.mark.parametrize(
    "options",
    [
        {"ack": "server", "ack_timeout": None, "lease": 0.1, "window": 1, "limit": 1},
        {"ack": "replicated", "ack_timeout": 0.001, "lease": 3600, "deliver": False},
        {"front": SQLite("x", codec="pickle")},
    ],
)
def test_what_is_taken(options: dict[str, Any]) -> None:
    storage = Redis(URL, codec="pickle", **options)

    for name, value in options.items():
        assert getattr(storage, name) == value


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("ack", "disk", '"local", "server" or "replicated"'),
        ("ack", None, '"local"'),
        ("ack_timeout", 0, "seconds above 0"),
        ("ack_timeout", "5", "a number of seconds"),
        ("ack_timeout", float("nan"), "a number of seconds"),
        ("lease", 0.05, "a number of seconds from 0.1"),
        ("lease", float("inf"), "a number of seconds"),
        ("lease", True, "a number of seconds"),
        ("window", 0, "a number from 1"),
        ("window", 1.5, "a number from 1"),
        ("limit", 0, "a number from 1"),
        ("limit", True, "a number from 1"),
        ("front", "file.db", "expected a storage"),
        ("deliver", 1, "expected True or False"),
        ("codec", 7, "expected None"),
    ],
)
def test_what_is_not_taken_is_named(option: str, value: Any, expected: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        Redis(URL, **dict[str, Any](codec="pickle") | {option: value})

    assert f"{option}={value!r}" in str(raised.value)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [None, 6379, "", "localhost:6379", "http://x", "redis://x:port", "unix://", "redis://[x"],
)
def test_a_url_says_where(url: Any) -> None:
    with pytest.raises(InvalidOption, match="expected redis://HOST:PORT/DB"):
        Redis(url, codec="pickle")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("rediss://me:secret@host/0", "rediss://me:...@host/0"),
        ("redis://:secret@host", "redis://:...@host"),
        ("redis://:sec@ret@host", "redis://:...@host"),
    ],
)
def test_passwords_are_not_shown(url: str, said: str) -> None:
    assert repr(Redis(url, codec="pickle")) == f"Redis({said!r}, ack='local')"


def test_passwords_are_not_shown_in_errors() -> None:
    with pytest.raises(InvalidOption) as raised:
        Redis("http://me:secret@host", codec="pickle")

    assert "secret" not in str(raised.value)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioned_buffer.storage.redis.find_spec", lambda name: None)

    with pytest.raises(InvalidOption, match=r"pip install 'partitioned-buffer\[redis\]'"):
        Redis(URL, codec="pickle").share(SharedTerms("b", "Queue", None, "me"))


@pytest.mark.skipif(not importlib.util.find_spec("redis"), reason="needs the library")
def test_a_url_that_the_library_refuses_is_named() -> None:
    with pytest.raises(InvalidOption, match="expected redis://HOST"):
        Redis("redis://localhost/0?socket_timeout=x", codec="pickle").share(
            SharedTerms("b", "Queue", None, "me")
        )
