"""What a person sees of what was given up."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import wait_until
from playwright.sync_api import expect
from watching import Tab

from partitioned_buffer import Queue, Retry
from partitioned_buffer.dashboard import Serving
from partitioned_buffer.errors import StorageAway
from partitioned_buffer.testing.sharing import SharedDict

Served = Callable[..., Serving]
pytestmark = pytest.mark.usefixtures("desk")
NAME = "ada's events"
COMMAND = "partitioned-buffer replay URL 'ada'\\''s events' --into MODULE:NAME"


def refuse(_batch: object) -> None:
    raise ValueError("no such user: ada@example.com")


@pytest.fixture
def storage() -> SharedDict:
    return SharedDict()


@pytest.fixture(autouse=True)
def queue(storage: SharedDict) -> Iterator[Queue[Any]]:
    """A shared one that has given up three items."""
    options: Any = {"partitions": 1, "processing_interval": 0.01, "retry": Retry(attempts=1)}
    with Queue[Any](NAME, refuse, storage=storage, **options) as made:
        made.push_all(range(3))
        wait_until(lambda: made.stats().dead_lettered == 3)
        yield made
        storage.fails = None


def test_letters_on_a_server_are_listed_and_how_they_come_back(tab: Tab, served: Served) -> None:
    page = tab.open(served().url)
    letters = page.locator(".letters")
    expect(letters.locator("li .error").first).to_have_text("ValueError")
    expect(letters.locator("li .time").first).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    expect(letters.locator("li code")).to_have_count(0)
    expect(letters.locator(".note code")).to_have_text(COMMAND)
    tab.check()


def test_items_are_shown_and_given_back_if_that_is_said(tab: Tab, served: Served) -> None:
    page = tab.open(served(actions=True, show_item=lambda item: f"number {item}").url)
    expect(page.locator(".letters li code").first).to_contain_text("number ")
    expect(page.locator(".letters .note")).to_have_count(0)
    expect(page.get_by_role("button", name="Replay dead letters")).to_be_visible()
    tab.check()


def test_a_server_that_is_away_is_said_where_letters_would_be(
    tab: Tab, served: Served, storage: SharedDict
) -> None:
    page = tab.open(served().url)
    expect(page.locator(".letters li")).not_to_have_count(0)
    storage.fails = StorageAway("gone")
    note = page.locator(".letters .note").first
    expect(note).to_have_text("Not known now: what keeps them cannot be reached.")
    expect(page.locator(".letters li")).to_have_count(0)
    storage.fails = None
    expect(page.locator(".letters li")).not_to_have_count(0)
    tab.check()
