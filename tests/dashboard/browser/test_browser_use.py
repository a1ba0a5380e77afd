"""How a person goes about the page: a thousand buffers, keys, a phone, a token."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import Buffers
from playwright.sync_api import expect
from watching import Desk, Tab

from partitioned_buffer import Queue
from partitioned_buffer.dashboard import Serving

Served = Callable[..., Serving]
TOKEN = "correct horse battery staple & 100 %"


@pytest.fixture(scope="module")
def thousand() -> Iterator[list[Queue[int]]]:
    many = [Queue[int](f"tenant-{n:04}", print, partitions=1) for n in range(997)]
    few = [Queue[int](f"shop-{n}", print, partitions=1).start() for n in range(3)]
    for number, queue in enumerate(few):
        queue.push_all(range(10 * (number + 1)))
    yield [*many, *few]
    for queue in few:
        queue.stop()


def first(page: Any, number: int = 0) -> Any:
    """Return the row with that number: it is where that says, and not where it is in the text."""
    return page.locator(f'.row[aria-rowindex="{number + 2}"]:not([hidden])')


@pytest.mark.usefixtures("desk")
def test_a_thousand_buffers_are_sorted_and_filtered(
    tab: Tab, served: Served, thousand: list[Queue[int]]
) -> None:
    page = tab.open(served(thousand).url)
    expect(page.locator("#table")).to_have_attribute("aria-rowcount", "1001")
    assert page.locator(".row").count() < 60  # what is not in sight is not there
    page.get_by_role("button", name="Name").click()
    expect(first(page)).to_contain_text("shop-0")
    page.get_by_role("button", name="Name").click()
    expect(first(page)).to_contain_text("tenant-0996")
    page.get_by_role("button", name="Held").click()
    expect(first(page)).to_contain_text("shop-2")
    expect(page.locator("[aria-sort=ascending]")).to_have_text("Held")
    page.locator("#scroll").evaluate("each => { each.scrollTop = each.scrollHeight; }")
    expect(first(page, 999)).to_contain_text("tenant-0996")
    assert page.locator(".row").count() < 60
    page.get_by_placeholder("Filter by name").fill("NANT-042")
    expect(page.locator("#table")).to_have_attribute("aria-rowcount", "11")
    expect(first(page)).to_contain_text("tenant-0420")
    page.get_by_placeholder("Filter by name").fill("nobody")
    expect(page.locator("#none")).to_have_text("No buffer is like that.")
    page.get_by_placeholder("Filter by name").fill("")
    page.locator(".chip.stopped").click()
    expect(page.locator("#table")).to_have_attribute("aria-rowcount", "998")
    page.locator(".chip.stopped").click()
    expect(page.locator("#table")).to_have_attribute("aria-rowcount", "1001")
    tab.check()


@pytest.mark.usefixtures("desk")
def test_all_can_be_done_by_keys(tab: Tab, served: Served) -> None:
    those = [Queue[int](f"queue-{number}", print) for number in range(30)]
    page = tab.open(served(those).url)
    expect(page.locator(".detail h2")).to_have_text("queue-0")
    for key, name in [("j", "queue-1"), ("ArrowDown", "queue-10"), ("k", "queue-1")]:
        page.keyboard.press(key)
        expect(page.locator(".detail h2")).to_have_text(name)
        expect(page.locator(".name-link:focus")).to_have_text(name)
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("7")
    expect(page.locator(".row:visible")).to_have_count(3)  # 7, 17 and 27
    page.keyboard.press("ArrowDown")
    expect(page.locator(".detail h2")).to_have_text("queue-17")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator("#filter")).to_have_value("")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("p")
    expect(page.locator("#pulse-text")).to_contain_text("Paused at")
    page.keyboard.press("p")
    expect(page.locator("#pulse-text")).to_contain_text("Live")
    page.keyboard.press("Tab")  # what has the focus is seen to have it
    assert page.evaluate("document.activeElement !== document.body")
    tab.check()


@pytest.mark.usefixtures("desk")
def test_the_keys_go_through_many_rows(
    tab: Tab, served: Served, thousand: list[Queue[int]]
) -> None:
    page = tab.open(served(thousand).url)
    page.get_by_role("button", name="Name").click()
    for _ in range(25):
        page.keyboard.press("j")
    expect(page.locator(".name-link:focus")).to_be_in_viewport()
    name = page.locator(".name-link:focus").text_content()
    expect(page.locator(".detail h2")).to_have_text(name)
    assert name.startswith("tenant-00")


@pytest.mark.usefixtures("desk")
def test_who_does_not_look_asks_for_nothing(tab: Tab, served: Served, buffers: Buffers) -> None:
    those = [buffers.queue(name="events")]
    tab.page.clock.install()
    page = tab.open(served(those).url)
    page.clock.run_for(1100)
    expect(page.locator(".detail h2")).to_have_text("events")
    page.evaluate(SEEN, "hidden")
    page.wait_for_load_state("networkidle")
    before = tab.polls()
    for _ in range(20):
        page.clock.run_for(5000)
    assert tab.polls() == before
    with page.expect_request("**/api/buffers"):
        page.evaluate(SEEN, "visible")  # at once
    page.wait_for_load_state("networkidle")
    page.keyboard.press("p")
    before = tab.polls()
    for _ in range(20):
        page.clock.run_for(3000)
    assert tab.polls() == before
    tab.check()


SEEN = """state => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.usefixtures("desk")
def test_it_goes_on_a_phone(phone: Tab, served: Served, thousand: list[Queue[int]]) -> None:
    page = phone.open(served(thousand).url)
    assert page.evaluate(WIDE_AS_THE_SCREEN)
    expect(page.locator(".detail")).to_be_hidden()
    first(page, 1).tap()
    expect(page.locator(".detail h2")).to_be_visible()
    expect(page.locator(".list")).to_be_hidden()
    assert page.evaluate(WIDE_AS_THE_SCREEN)
    page.get_by_role("link", name="All buffers").tap()
    expect(page.locator(".list")).to_be_visible()
    page.go_back()
    expect(page.locator(".detail h2")).to_be_visible()
    phone.check()


WIDE_AS_THE_SCREEN = """() => {
  const wide = [...document.querySelectorAll("body *")]
    .filter(each => each.getClientRects().length && !each.closest(".chips, .head, .skip, .uplot"))
    .filter(each => each.className !== "label")
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1);
  return document.scrollingElement.scrollWidth <= innerWidth && wide.length === 0;
}"""


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_system_is_or_as_one_says(
    desk: Desk, served: Served, buffers: Buffers, scheme: str
) -> None:
    those = [buffers.queue(name="events")]
    tab = Tab(desk, color_scheme=scheme)
    page = tab.open(served(those).url)

    def is_dark() -> bool:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) < 300

    assert is_dark() == (scheme == "dark")
    seen = list[bool]()
    for _ in range(3):
        page.keyboard.press("t")
        seen.append(is_dark())
    assert seen == [False, True, scheme == "dark"]
    page.keyboard.press("t")
    page.reload()
    assert not is_dark()  # it is remembered
    tab.check()
    tab.close()


@pytest.mark.usefixtures("desk")
def test_a_token_is_asked_for_and_never_in_an_address(
    tab: Tab, served: Served, buffers: Buffers
) -> None:
    those = [buffers.queue(name="events")]
    url = served(those, token=TOKEN).url
    page = tab.page
    tab.url = url
    page.goto(url)
    box = page.get_by_label("Token")
    expect(box).to_be_focused()
    box.fill("nonsense")
    page.keyboard.press("Enter")
    expect(page.locator("#token-why")).to_have_text("That was not it.")
    expect(page.locator("main")).to_be_hidden()
    box.fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator(".detail h2")).to_have_text("events")
    page.reload()
    expect(page.locator(".detail h2")).to_have_text("events")  # this tab has it
    assert not any("correct" in url or "token=" in url for url in tab.asked)
    tab.check(but="401")


@pytest.mark.usefixtures("desk")
def test_a_token_is_handed_over_in_the_fragment(tab: Tab, served: Served, buffers: Buffers) -> None:
    those = [buffers.queue(name="events")]
    token = "0123456789abcdef+/="
    page = tab.open(f"{served(those, token=token).url}#token=0123456789abcdef%2B%2F%3D")
    assert "token" not in page.evaluate("location.href")
    assert "token" not in page.evaluate("document.title")
    expect(page.locator(".detail h2")).to_have_text("events")
    assert not any("0123" in url.partition("#")[0] for url in tab.asked)
    tab.check()


@pytest.mark.usefixtures("desk")
def test_processes_that_answer_in_turn_are_told_apart(
    tab: Tab, served: Served, buffers: Buffers
) -> None:
    (queue := buffers.queue(name="events")).push_all(range(10))
    pids = [1, 2]

    def other(route: Any) -> None:
        told = route.fetch().json()
        pids.reverse()
        told["process"]["pid"] = pids[0]
        for buffer in told["buffers"]:
            buffer["stats"]["held"] += 1000 * pids[0]
        route.fulfill(json=told)

    tab.page.route("**/api/buffers", other)
    page = tab.open(served([queue]).url)
    choose = page.get_by_label("Process")
    expect(choose.locator("option")).to_have_count(2)
    choose.select_option(index=0)
    expect(page.locator(".tile.held .value")).to_have_text("2,010")
    choose.select_option(index=1)
    expect(page.locator(".tile.held .value")).to_have_text("1,010")
    page.evaluate(REMEMBER)
    for _ in range(4):
        with page.expect_response("**/api/buffers"):
            pass
    assert page.evaluate("seen") == []  # nothing else was shown meanwhile
    tab.check()


REMEMBER = """() => {
  window.seen = [];
  const value = document.querySelector(".tile.held .value");
  new MutationObserver(() => seen.push(value.textContent)).observe(value, { childList: true });
}"""
