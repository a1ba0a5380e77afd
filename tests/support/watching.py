"""
A real Chromium, headless, that looks at the page: in a thread of its own, for Playwright has an
event loop there that other tests must not find.
"""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import urlsplit

R = TypeVar("R")

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


class Desk:
    """The thread, and the browser in it."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.browser: Any = self.do(self._launched)

    def _launched(self) -> Any:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  # may be missing

        self._playwright = sync_playwright().start()
        return self._playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future = job
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

    def do(self, call: Callable[[], R]) -> R:
        """Do it there; return what comes of it."""
        future = Future[R]()
        self._jobs.put((call, future))
        return future.result(timeout=120)

    def close(self) -> None:
        def end() -> None:
            self.browser.close()
            self._playwright.stop()

        self.do(end)
        self._jobs.put(None)
        self._thread.join()


class Tab:
    """A tab, and all that went on in it."""

    def __init__(self, desk: Desk, **options: Any) -> None:
        self._context = desk.browser.new_context(
            **({"viewport": {"width": 1280, "height": 800}} | options)
        )
        self._context.set_default_timeout(20_000)
        self.page: Any = self._context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, url: str) -> Any:
        """Go there; return when numbers are seen."""
        self.url = url
        self.page.goto(url)
        self.page.wait_for_selector(".pulse.live")
        return self.page

    def polls(self) -> int:
        """Return how often it has asked for numbers."""
        return sum("/api/buffers" in url for url in self.asked)

    def check(self, *, but: str = "nothing") -> None:
        """Nothing was complained of, and nobody else asked; *but* that may have been said."""
        assert [text for text in self.said if but not in text] == []
        here = urlsplit(self.url)
        for url in self.asked:
            place = urlsplit(url)
            assert (place.scheme, place.netloc) == (here.scheme, here.netloc), url

    def close(self) -> None:
        self._context.close()
