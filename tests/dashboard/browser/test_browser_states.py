"""What a person sees of buffers that are well, and of those that are not."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import Buffers, wait_until
from playwright.sync_api import expect
from watching import Tab

from partitioned_buffer import Queue, Retry
from partitioned_buffer.dashboard import Serving, reading
from partitioned_buffer.dashboard import page as page_module
from partitioned_buffer.errors import StorageAway
from partitioned_buffer.testing import FakeClock, RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict

Served = Callable[..., Serving]
pytestmark = pytest.mark.usefixtures("desk")


def test_numbers_go_on_by_themselves(tab: Tab, served: Served, buffers: Buffers) -> None:
    queue = buffers.queue(name="events", partitions=2)
    page = tab.open(served().url)
    expect(page.locator(".detail h2")).to_have_text("events")  # there is only one
    expect(page.locator(".badge")).to_have_text("Idle")
    queue.push_all(range(1234))
    expect(page.locator(".tile.held .value")).to_have_text("1,234")
    expect(page.locator(".row .held .value")).to_have_text("1,234")
    expect(page.locator(".badge")).to_have_text("Flowing")
    expect(page.locator(".ledger .total")).to_have_text("1,234 accepted: it adds up")
    expect(page.locator(".ledger-bar")).to_have_attribute(
        "aria-label", "Of 1,234 writes accepted: Waiting 1,234"
    )
    expect(page.locator(".part")).to_have_count(2)
    queue.flush()
    expect(page.locator(".tile.out .note")).to_have_text("1,234 delivered")
    expect(page.locator(".tile.held .value")).to_have_text("0")
    expect(page.locator(".uplot")).to_have_count(2)
    tab.check()


def seen_as(page: Any, state: str, word: str) -> None:
    """It is told by a word, a shape and a colour, in the list and beside the name."""
    expect(page.locator(".badge")).to_have_text(word)
    expect(page.locator(f".badge.{state} svg.shape")).to_have_count(1)
    expect(page.locator(f".row.{state} .state .word")).to_have_text(word)
    expect(page.locator(f".row.{state} .state svg.shape")).to_have_count(1)
    expect(page.locator(f".chip.{state} .number")).to_have_text("1")
    expect(page.locator(".detail")).to_have_attribute("data-state", state)


def test_an_outage_is_seen(
    tab: Tab, served: Served, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(name="events")
    processor.fail_always(ConnectionError("refused by ada@example.com"))
    queue.push_all(range(12))
    clock.advance(5.0)
    page = tab.open(served().url)
    seen_as(page, "outage", "Outage")
    expect(page.locator(".sentence")).to_have_text(
        "Nothing gets through: the processor raises ConnectionError. It never worked. "
        "12 items wait, and are tried again; nothing was given up."
    )
    expect(page.locator(".why")).to_contain_text("ConnectionError (what it says is in the log)")
    expect(page.locator(".part")).to_have_class("part failing rests")
    assert "ada" not in page.content()
    processor.recover()
    clock.advance(10.0)
    expect(page.locator(".badge")).to_have_text("Flowing")
    tab.check()


class Times:
    """The time of the page is that of its buffers."""

    def __init__(self, clock: FakeClock) -> None:
        self.time, self.perf_counter = clock.time, time.perf_counter


def test_an_outage_that_is_over_is_told_and_is_no_alarm(
    tab: Tab,
    served: Served,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_module, "time", Times(clock))
    queue = buffers.queue(name="events", retry=Retry(jitter=0.0))
    queue.push(1)
    clock.advance(5.0)
    page = tab.open(served(messages=True).url)
    told = page.locator(".past")
    expect(page.locator(".badge")).to_have_text("Flowing")
    expect(told).to_be_hidden()
    processor.fail_always(ConnectionError("refused"))
    queue.push(2)
    clock.advance(5.0)
    clock.jump(1.0)
    expect(page.locator(".badge")).to_have_text("Outage")
    expect(told).to_be_hidden()  # what is going on is told above
    processor.recover()
    clock.advance(60.0)
    clock.advance(600.0)
    expect(page.locator(".badge")).to_have_text("Idle")
    expect(told).to_have_text(
        re.compile(
            r"^Last failure: 11 min ago, ConnectionError; delivered again since, last 11 min ago\.$"
        )
    )
    clock.advance(86400.0)
    expect(told).to_be_hidden()
    tab.check()


def test_what_was_given_up_is_not_said_to_be_delivered_again(
    tab: Tab, served: Served, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(name="events", retry=Retry(attempts=1))
    processor.fail_always(ConnectionError())
    queue.push(1)
    clock.advance(5.0)
    clock.advance(20.0)
    page = tab.open(served().url)
    expect(page.locator(".past")).to_contain_text("ConnectionError; nothing was delivered since.")
    tab.check()


def between_tries(route: Any) -> None:
    told = route.fetch().json()
    told["buffers"][0]["stats"]["rates"]["failed_10s"] = 0.0
    route.fulfill(json=told)


def test_an_outage_says_since_when_and_how_long_there_is_room(
    tab: Tab, served: Served, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(name="events", max_size=100, retry=Retry(wait_initial=60.0, jitter=0.0))
    queue.push_all(range(10))
    clock.advance(5.0)
    processor.fail_always(ConnectionError())
    queue.push_all(range(10, 70))
    clock.advance(45.0)
    tab.page.route("**/api/buffers", between_tries)
    page = tab.open(served().url)
    sentence = page.locator(".sentence")
    expect(page.locator(".tile.failed.hot .value")).to_have_text("<0.1")
    expect(sentence).to_contain_text(re.compile(r"It worked last .+, at .*\d\d:\d\d:\d\d\. "))
    expect(sentence).to_contain_text(re.compile(r"there is room for another \d+ s\.$"))
    tries = re.compile(r"^of 100 · next try in \d+ s$")
    expect(page.locator(".tile.held .note")).to_have_text(tries)
    waits = re.compile(r"failing, \d+ waiting, \d+ for the next try, in \d+ s")
    expect(page.locator(".part")).to_have_attribute("title", waits)
    queue.push_all(range(70, 110))
    expect(sentence).to_contain_text("100 of 100 items are held. Writers wait for room.")
    processor.recover()
    tab.check()


HIGHEST = """async ([held, most]) => {
  const { Charts } = await import("./js/charts.js");
  const charts = new Charts({ held: "#000", full: "#000", in: "#000", out: "#000", bad: "#000" });
  document.body.append(charts.element);
  const samples = [1, 2, 3].map((at) => ({ at, held: (held * at) / 3, state: "outage" }));
  charts.show({ samples, rate: () => 0 }, most);
  await new Promise(requestAnimationFrame);
  return charts.stock.plot.scales.y.max;
}"""


@pytest.mark.parametrize(("held", "most"), [(8000, 360_000), (100_000, 360_000), (8000, None)])
def test_what_is_held_is_seen_however_far_the_bound(
    tab: Tab, served: Served, held: int, most: int | None
) -> None:
    highest = tab.open(served([]).url).evaluate(HIGHEST, [held, most])
    assert held < highest < 6 * held
    assert not most or (highest > most) == (held > most / 5), "the bound is drawn once it is near"
    tab.check()


SCALED = """async ([peak, count]) => {
  const { Charts } = await import("./js/charts.js");
  const inks = { held: "#000", full: "#000", in: "#000", out: "#000", bad: "#000" };
  const charts = new Charts({ ...inks, text: "#000", panel: "#fff" });
  document.body.append(charts.element);
  const told = [];
  const tell = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    told.push(text);
    tell.call(this, text, ...place);
  };
  const samples = [...Array(count).keys()].map((at) => ({ at, held: 1, state: "flowing" }));
  const rate = (name, index) => (name === "failed" ? 0 : index > 50 && index < 55 ? peak : 100);
  charts.show({ samples, rate }, null);
  await new Promise(requestAnimationFrame);
  CanvasRenderingContext2D.prototype.fillText = tell;
  return [charts.flow.plot.scales.y.max, told.filter((text) => text.startsWith("▲"))];
}"""


@pytest.mark.parametrize(
    ("peak", "count", "highest", "told"),
    [(50_000, 200, 230, ["▲ 50.0k"]), (390, 200, 448.5, []), (50_000, 59, 57_500, [])],
)
def test_one_peak_does_not_flatten_all_else(  # a row
    tab: Tab, served: Served, peak: int, count: int, highest: float, told: list[str]
) -> None:
    most, peaks = tab.open(served([]).url).evaluate(SCALED, [peak, count])
    assert (most, peaks) == (pytest.approx(highest), told)
    tab.check()


def test_a_stall_is_seen(
    tab: Tab, served: Served, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    processor.block()
    queue = buffers.queue(name="events", processing_timeout=20.0)
    queue.push_all(range(15))
    clock.jump(5.0)
    processor.wait_for_call()
    clock.jump(20.0)
    page = tab.open(served().url)
    seen_as(page, "stalled", "Stalled")
    expect(page.locator(".sentence")).to_have_text(
        "A call of the processor does not return. 15 items in hand, 0 wait behind."
    )
    expect(page.locator(".part")).to_have_class("part overdue")
    processor.unblock()
    expect(page.locator(".badge")).to_have_text("Flowing")
    tab.check()


def test_a_full_buffer_is_seen(
    tab: Tab, served: Served, buffers: Buffers, processor: RecordingProcessor
) -> None:
    processor.block()
    queue = buffers.queue(name="events", max_size=20, when_full="drop_newest")
    queue.push_all(range(30))
    page = tab.open(served().url)
    seen_as(page, "full", "Full")
    expect(page.locator(".sentence")).to_have_text(
        "20 of 20 items are held. What is written now is dropped."
    )
    expect(page.locator(".bar.brim")).to_have_count(1)
    expect(page.locator(".tile.lost .value")).to_have_text("10")
    expect(page.locator(".tile.lost .note")).to_have_text("10 full")
    expect(page.locator(".term.dropped")).to_be_visible()
    processor.unblock()
    tab.check()


def test_who_delivers_what_is_shared_is_seen(tab: Tab, served: Served) -> None:
    storage = SharedDict(partitions=4)
    with Queue[int]("events", print, storage=storage, processing_interval=0.05) as queue:
        page = tab.open(served().url)
        expect(page.locator(".part .owner")).to_have_text(["A", "A", "A", "A"])
        expect(page.locator(".server")).to_contain_text("A: ")
        expect(page.locator(".server")).to_contain_text("writes and delivers")
        storage.fails = StorageAway("cache:6379: refused")
        queue.push(1)
        seen_as(page, "away", "Server away")
        expect(page.locator(".sentence")).to_contain_text("cache:6379: refused")
        storage.fails = None
        expect(page.locator(".tile.out .note")).to_have_text("1 delivered")
        tab.check()


class Hanging(Queue[int]):
    go = threading.Event()

    def stats(self) -> Any:
        self.go.wait(60)
        return super().stats()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    monkeypatch.setattr(reading, "PATIENCE", 0.05)
    one = Hanging("hanging", print)
    yield one
    one.go.set()


def test_one_that_does_not_answer_is_seen_beside_the_others(
    tab: Tab, served: Served, hanging: Hanging
) -> None:
    page = tab.open(served([hanging, Queue[int]("well", print)]).url)
    expect(page.locator(".row")).to_have_count(2)
    seen_as(page, "silent", "No answer")
    expect(page.locator(".sentence")).to_have_text(
        "stats() does not answer. The others are shown all the same."
    )
    page.get_by_role("link", name="well").click()
    expect(page.locator(".badge")).to_have_text("Stopped")
    tab.check()


def test_a_server_that_is_gone_is_said_and_waited_for(
    tab: Tab, served: Served, buffers: Buffers
) -> None:
    buffers.queue(name="events")
    serving = served()
    page = tab.open(serving.url)
    port = int(serving.url.rstrip("/").rpartition(":")[2])
    serving.close()
    expect(page.locator("#pulse-text")).to_contain_text("No answer since")
    expect(page.locator(".detail h2")).to_have_text("events")  # what was seen stays
    served(port=port)
    expect(page.locator("#pulse-text")).to_contain_text("Live")
    tab.check(but="net::ERR_CONNECTION_")


def test_flush_is_there_if_actions_are(
    tab: Tab, served: Served, buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(name="events")
    queue.push(1)
    page = tab.open(served().url)
    expect(page.get_by_role("button", name="Flush")).to_be_hidden()
    page = tab.open(served(actions=True).url)
    page.get_by_role("button", name="Flush").click()
    expect(page.locator(".actions .note")).to_have_text("Flushed.")
    wait_until(lambda: processor.items == [1])
    assert queue.stats().held == 0


def test_a_name_is_text_and_no_markup(tab: Tab, served: Served) -> None:
    names = [
        "<img src=x onerror=\"document.title='hacked'\">",
        "</script><script>document.title='hacked'</script>",
        "half \ud800 #&?%/\\ \u202e\0",
        "[object Object]",
        "__proto__",
    ]
    page = tab.open(served([Queue(name, print, partitions=1) for name in names]).url)
    expect(page.locator(".row")).to_have_count(5)
    expect(page.locator("img")).to_have_count(0)
    assert page.locator("script").count() == 2
    for name in names:
        if "\ud800" not in name:
            page.locator(".name-link").filter(has_text=name).click()
            expect(page.locator(".detail h2")).to_have_text(name)
    page.locator(".name-link").filter(has_text="half").click()
    expect(page.locator(".detail h2")).to_contain_text("half")
    expect(page.locator(".part")).to_have_count(1)  # it was found, with its partitions
    page.keyboard.press("t")  # charts are drawn anew
    assert "Buffers" in page.title()
    tab.check()
