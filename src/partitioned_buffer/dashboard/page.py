"""
The page, without a server: what is asked for becomes an answer.

    GET   /                the page itself, and what it is made of
    GET   /api/buffers     the numbers of all buffers
    GET   /api/buffer      ... of one, and of its partitions: ?name=NAME
    POST  /api/flush       process what is held now: {"name": NAME}
    POST  /api/replay      give back what was given up: {"name": NAME}
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypedDict
from urllib.parse import parse_qs, quote

from .. import running
from .acting import Actions
from .compressing import compressed
from .describing import describe, silent
from .files import served
from .guard import Guard, guarded
from .letters import last_letters
from .messages import LONGEST, Refused, Request, Response, refusal, told
from .reading import Reader

_log = logging.getLogger("partitioned_buffer")

Described = dict[str, Any]
Buffers = Iterable[Any] | Callable[[], Iterable[Any]] | None
"""Those that are shown; None: all that run."""


class Options(TypedDict, total=False):
    """The options of a `Page`."""

    actions: bool
    show_item: Callable[[Any], str] | None
    messages: bool
    token: str | None
    hosts: Collection[str] | None


class Page:
    """
    Answers requests about *buffers*, some of them or a function that returns them: all that run,
    unless given.

    *actions*: whether buffers may be flushed, and dead letters replayed. *show_item*: makes a text
    of an item, without what nobody should see; without it, no item is shown. *messages*: whether
    what exceptions say is told, and not their type alone: it may be what an item holds. *token*:
    what has to be known for any number. *hosts*: names, or addresses, that it answers to, and no
    other; None: whichever lead here.

    Raises `InvalidOption` for a token that is too short.
    """

    def __init__(  # noqa: PLR0913  # options, by name
        self,
        buffers: Buffers = None,
        *,
        actions: bool = False,
        show_item: Callable[[Any], str] | None = None,
        messages: bool = False,
        token: str | None = None,
        hosts: Collection[str] | None = None,
    ) -> None:
        self._buffers = buffers if buffers is None or callable(buffers) else list(buffers)
        self._actions, self._show_item, self._messages = actions, show_item, messages
        self._guard = Guard(token, hosts)
        self._processes: dict[int, _Here] = {}
        self.made = time.time()

    def waits(self, request: Request) -> bool:
        """Return whether an answer may take a while: then it is not for an event loop to make."""
        return request.path.startswith("/api/")

    def answer(self, request: Request) -> Response:
        """Return what is answered; this raises nothing."""
        try:
            response = self._answer(request)
        except Refused as refused:
            response = refusal(refused)
        except Exception:
            _log.exception("the page could not answer %r", request.path)
            response = told({"error": "this could not be answered: see the log"}, 500)
        response = guarded(compressed(request, response))
        return response._replace(body=b"") if request.method == "HEAD" else response

    def _answer(self, request: Request) -> Response:
        self._guard.check_host(request)
        if not request.path.startswith("/api/"):
            return self._file(request)
        found = _API.get(request.path)
        if found is None:
            raise Refused(404, f"there is no {request.path}: there are {', '.join(_API)}")
        method, make = found
        _check_method(request, *(("GET", "HEAD") if method == "GET" else (method,)))
        self._guard.check_token(request)
        return make(self, request)

    @staticmethod
    def _file(request: Request) -> Response:
        _check_method(request, "GET", "HEAD")
        last = request.mounted_at.rpartition("/")[2]
        if request.path == "" and last:  # what the page is made of is found from here on
            return Response(
                308, (("Location", f"{quote(last, safe='', errors='surrogatepass')}/"),), b""
            )
        found = served(request.path.removeprefix("/") or "index.html", request)
        if found is None:
            raise Refused(404, "there is no such file")
        return found

    # --- what there is to see ------------------------------------------------------

    def _all(self) -> list[Any]:
        if self._buffers is None:
            return list(running())
        return list(self._buffers() if callable(self._buffers) else self._buffers)

    def _here(self) -> "_Here":
        """Return what there is in this process: the threads of another are not here."""
        pid = os.getpid()
        if (found := self._processes.get(pid)) is None:
            found = self._processes.setdefault(pid, _Here(self))
        return found

    def overview(self, _request: Request) -> Response:
        """Tell of all buffers."""
        here, arrived = self._here(), time.perf_counter()
        with here.lock:
            if here.began < arrived:  # who came while others were served gets what they get
                here.began = time.perf_counter()
                here.each = here.all.each(self._all())
                here.took = time.perf_counter() - here.began
            return self._told(here, {"took": here.took, "buffers": here.each})

    def one(self, request: Request) -> Response:
        """Tell of one, with its partitions."""
        name = _only_name(request.query)
        here, buffer = self._here(), self._named(name)
        (described,) = here.one.each([buffer])
        described |= self._letters(here, buffer, described["stats"])
        replay = here.actions.replay_of(buffer)
        return self._told(here, {"buffer": described | ({"replay": replay} if replay else {})})

    def _told(self, here: "_Here", content: Described) -> Response:
        about = {"at": time.time(), "process": here.process, "actions": self._actions}
        return told(about | content)

    def look(self, buffer: Any) -> Described:
        """Return what the overview has of a buffer."""
        return describe(buffer, messages=self._messages)

    def look_closer(self, buffer: Any) -> Described:
        """Return all there is to see."""
        return describe(buffer, messages=self._messages, partitions=True)

    @staticmethod
    def _letters(here: "_Here", buffer: Any, stats: Described | None) -> Described:
        """Return what was given up last, or why it is not known: who keeps it may be away."""
        if stats is None:
            return {}
        if (shared := stats["shared"]) and shared["away"]:
            return _unread(buffer, "cannot be reached")
        (letters,) = here.letters.each([buffer])
        return letters

    def read_letters(self, buffer: Any) -> Described:
        """Return what was given up last, where that is kept."""
        letters = last_letters(buffer, self._show_item, messages=self._messages)
        return {} if letters is None else {"dead_letters": letters}

    def _named(self, name: str) -> Any:
        for buffer in self._all():
            if buffer.name == name:
                return buffer
        raise Refused(404, "there is no buffer of that name here")

    # --- what there is to do -------------------------------------------------------

    def flush(self, request: Request) -> Response:
        """Flush one."""
        return told(self._here().actions.flush(self._to_act_on(request)))

    def replay(self, request: Request) -> Response:
        """Give back what was given up of one."""
        return told(self._here().actions.replay(self._to_act_on(request)), 202)

    def _to_act_on(self, request: Request) -> Any:
        if not self._actions:
            raise Refused(403, "this page only shows: it was not made with actions=True")
        self._guard.check_site(request)
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "application/json":
            raise Refused(415, "expected JSON, and the header Content-Type: application/json")
        if len(request.body) > LONGEST:
            raise Refused(413, f"expected {LONGEST} bytes at most")
        try:
            given = json.loads(request.body)
        except (ValueError, RecursionError):
            raise Refused(400, 'expected JSON: {"name": "events"}') from None
        if not (isinstance(given, dict) and isinstance(name := given.get("name"), str)):
            raise Refused(400, 'expected the name of a buffer: {"name": "events"}')
        return self._named(name)


class _Here:
    """What there is in one process."""

    def __init__(self, page: Page) -> None:
        self.all = Reader(page.look, silent)
        self.one = Reader(page.look_closer, silent)
        self.letters = Reader(page.read_letters, _unread)
        self.actions = Actions()
        self.process = {"pid": os.getpid(), "host": socket.gethostname(), "started": page.made}
        self.lock = threading.Lock()
        self.began = self.took = 0.0  # when the last look at all began, and how long it took
        self.each: list[Described] = []


def _unread(_buffer: Any, why: str) -> Described:
    return {"dead_letters_error": f"what keeps them {why}"}


_API: dict[str, tuple[str, Callable[[Page, Request], Response]]] = {
    "/api/buffers": ("GET", Page.overview),
    "/api/buffer": ("GET", Page.one),
    "/api/flush": ("POST", Page.flush),
    "/api/replay": ("POST", Page.replay),
}


def _check_method(request: Request, *allowed: str) -> None:
    if request.method not in allowed:
        allow = ("Allow", ", ".join(allowed))
        raise Refused(405, f"expected {' or '.join(allowed)}", allow)


def _only_name(query: str) -> str:
    """Return the name that is asked for."""
    try:
        given = parse_qs(query, keep_blank_values=True, errors="surrogatepass", max_num_fields=10)
    except ValueError:
        given = {}
    names = given.get("name", [])
    if len(names) != 1:
        raise Refused(400, "expected the name of one buffer, in UTF-8: ?name=events")
    return names[0]
