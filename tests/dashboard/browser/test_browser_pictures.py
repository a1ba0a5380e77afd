"""
Pictures of the page, which the documentation has: in a minute and a half of a day that goes wrong.

They go to `docs/` where PICTURES is set, and nowhere else.
"""

import io
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Buffers
from playwright.sync_api import expect
from watching import Desk, Tab

from partitioned_buffer import Retry
from partitioned_buffer.dashboard import Serving
from partitioned_buffer.dashboard import page as page_module
from partitioned_buffer.testing import FakeClock

Served = Callable[..., Serving]
DOCS = Path(__file__).parents[3] / "docs"
LARGEST = 150_000
MOMENTS = 90


class Day:
    """Six buffers of a shop: orders cannot be delivered any more, and metrics overflow."""

    def __init__(self, buffers: Buffers, clock: FakeClock) -> None:
        self.clock, self.random, self.moment = clock, random.Random(7), 0
        often: dict[str, Any] = {"processing_interval": 1.0, "retry": Retry()}
        self.clicks = buffers.queue(
            name="clicks", processor=self.well, partitions=4, processing_batch_size=500, **often
        )
        self.orders = buffers.queue(
            name="orders",
            processor=self.orders_go,
            partitions=8,
            processing_batch_size=100,
            **often,
        )
        self.metrics = buffers.queue(
            name="metrics",
            processor=self.some,
            partitions=2,
            processing_batch_size=20,
            max_size=3000,
            when_full="drop_oldest",
            **often | {"retry": Retry(wait_initial=1.0, multiplier=1.0, jitter=0.0)},
        )
        self.prices = buffers.map(
            name="prices", processor=self.well, partitions=4, processing_batch_size=100, **often
        )
        self.audit = buffers.queue(name="audit", processor=self.well, **often)
        self.images = buffers.queue(name="thumbnails", processor=self.well, partitions=2, **often)

    def well(self, _batch: Any) -> None:
        """All is well."""

    def some(self, _batch: Any) -> None:
        if self.moment >= 30 and self.random.random() < 0.5:
            raise TimeoutError

    def orders_go(self, _batch: Any) -> None:
        if self.moment >= 55:
            raise ConnectionError("orders-db:5432: connection refused")

    def go_on(self) -> None:
        """Go on by a second."""
        self.moment += 1
        wave = 1 + 0.4 * self.random.random()
        self.clicks.push_all(range(int(900 * wave)))
        self.orders.push_all(range(int(240 * wave)))
        self.metrics.push_all(range(int(150 * wave)))
        self.images.push_all(range(int(12 * wave)))
        for _ in range(60):
            self.prices.put(self.random.randrange(40), self.moment)
        if self.moment % 3 == 0:
            self.clock.jump(1.0)
        else:
            self.clock.advance(1.0)


def went_on(page: Any, day: Day, moments: int = MOMENTS) -> None:
    """Let the day go on, with the page looking at each second of it."""
    for _ in range(moments):
        day.go_on()
        with page.expect_response("**/api/buffers"), page.expect_response("**/api/buffer?*"):
            page.clock.run_for(1000)
    page.wait_for_load_state("networkidle")


def pictured(page: Any, name: str) -> None:
    """Keep a picture, in few colours."""
    from PIL import Image  # noqa: PLC0415  # for pictures alone

    whole, kept = Image.open(io.BytesIO(page.screenshot())).convert("RGB"), io.BytesIO()
    few = whole.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(kept, "PNG", optimize=True)
    assert len(kept.getvalue()) <= LARGEST
    (DOCS / f"page-{name}.png").write_bytes(kept.getvalue())


@pytest.mark.usefixtures("desk")
@pytest.mark.skipif("PICTURES" not in os.environ, reason="PICTURES is not set")
def test_pictures(
    desk: Desk, served: Served, buffers: Buffers, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = Day(buffers, clock)
    monkeypatch.setattr(page_module, "time", Times(clock))
    tab = Tab(desk, viewport={"width": 1280, "height": 1010}, color_scheme="light")
    tab.page.clock.install()
    page = tab.open(f"{served(messages=True).url}#buffer=orders")
    went_on(page, day)
    expect(page.locator(".badge")).to_have_text("Outage")
    pictured(page, "light")
    page.emulate_media(color_scheme="dark")
    chosen(page, "metrics")
    while page.locator(".badge").text_content() != "Full":
        went_on(page, day, 1)
    pictured(page, "dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    page.clock.run_for(100)
    pictured(page, "phone")
    page.set_viewport_size({"width": 1000, "height": 420})
    page.get_by_role("link", name="All buffers").click()
    page.clock.run_for(1000)
    pictured(page, "list")
    tab.check()
    tab.close()


def chosen(page: Any, name: str) -> None:
    """Look at another buffer."""
    page.locator(".name-link").filter(has_text=name).click()
    with page.expect_response("**/api/buffer?*"):
        page.clock.run_for(1000)
    page.wait_for_load_state("networkidle")


class Times:
    """The time of the page is that of its buffers."""

    def __init__(self, clock: FakeClock) -> None:
        self.time, self.perf_counter = clock.time, time.perf_counter
