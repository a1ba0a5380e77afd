"""
What is sent, and what becomes of a batch: by steps that do no I/O, for threads and tasks alike.
"""

import gzip
import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid5

from ... import BatchId, Entry
from ...errors import InvalidOption, Outage, PartialFailure, RetryAfter
from ..halving import find_bad
from ..rows import Refused, RowOf, Rows, bare, items_of
from .answers import Answer, Failed, Meaning, Result, error_of, meaning_of, outcomes

Format = Literal["ndjson", "json"]
TYPES: Mapping[str, str] = {"ndjson": "application/x-ndjson", "json": "application/json"}
Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]
Results = Callable[[Answer], Iterable[Result]]
_NAMESPACE = UUID("7d1f8c1e-5a59-4f0e-9d0b-2f7f0a8f6a35")


class Request(NamedTuple):
    """What is to be sent."""

    headers: dict[str, str]
    body: bytes


Steps = Generator[Request, Answer, None]


class Asking(NamedTuple):
    """How an endpoint is asked."""

    url: str
    headers: Headers
    format: Format
    gzip: bool
    key_header: str | None
    meanings: Mapping[int, Meaning]
    results: Results | None
    encode: Callable[[Any], bytes | str]
    row: RowOf | None

    def steps(self, batch: Any, identity: BatchId | None) -> Steps:
        """Send what is in *batch*; raise what is to be said of it."""
        made = self._made(items_of(batch))
        outcome = _Outcome(made)
        if made.rows:
            yield from self._sent(range(len(made.rows)), made.rows, identity, outcome)
        outcome.tell()

    def _made(self, items: Sequence[Any]) -> Rows:
        if self.row is None and Entry in set(map(type, items)):
            raise InvalidOption("row=None: expected, for a Map, a function of one of its entries")
        if self.encode is to_json:
            with suppress(Exception):  # of a row, which is found one by one
                rows = items if self.row is None else map(self.row, items)
                texts = list(map(_ENCODER.encode, rows))  # as to_json, without a call of its own
                "".join(texts).encode()
                return Rows(texts, list(range(len(texts))), Refused())
        return self._one_by_one(items)

    def _one_by_one(self, items: Sequence[Any]) -> Rows:
        refused = Refused()
        lines: list[bytes] = []
        places: list[int] = []
        row, encode, is_line = self.row, self.encode, self.format == "ndjson"
        for place, item in enumerate(items):
            try:
                line = encode(item if row is None else row(item))
                line = _checked(line.encode() if isinstance(line, str) else line, is_line=is_line)
            except Exception as error:
                refused[place] = bare(error)
            else:
                lines.append(line)
                places.append(place)
        return Rows(lines, places, refused)

    def _sent(
        self, part: range, lines: list[Any], identity: BatchId | None, outcome: "_Outcome"
    ) -> Steps:
        answer = yield self._request(part, lines, identity)
        meaning = meaning_of(answer, self.meanings, read=self.results is not None)
        if meaning == "delivered":
            outcome.add(part, self._read(answer, len(part)))
        elif meaning != "halve":
            raise error_of(answer, meaning, self.url)
        else:
            yield from self._halved(part, lines, identity, outcome, answer)

    def _halved(
        self,
        whole: range,
        lines: list[Any],
        identity: BatchId | None,
        outcome: "_Outcome",
        answer: Answer,
    ) -> Steps:
        """Send parts: what is refused alone is bad."""
        search = find_bad(len(whole), error_of(answer, "halve", self.url))
        part, bad_so_far = range(0), Refused()
        try:
            part = next(search)
            while True:
                answer = yield self._request(part, lines, identity)
                meaning = meaning_of(answer, self.meanings, read=self.results is not None)
                if meaning == "delivered":
                    outcome.add(part, self._read(answer, len(part)))
                    part = search.send(None)
                elif meaning in ("halve", "reject", "split"):
                    error = error_of(answer, "halve", self.url)
                    bad_so_far |= {part.start: error} if len(part) == 1 else {}
                    part = search.send(error)
                else:
                    raise error_of(answer, meaning, self.url)
        except StopIteration as end:
            outcome.add(whole, ({}, end.value))
        except (Outage, RetryAfter, Failed) as error:
            outcome.add(whole, (dict.fromkeys(range(part.start, len(whole)), error), bad_so_far))

    def _read(self, answer: Answer, count: int) -> tuple[Refused, Refused]:
        """Return what is to be tried again, and what never, by its number."""
        if self.results is None:
            return {}, {}
        retry, reject = outcomes(self.results(answer), count)
        return {**retry}, {**reject}

    def _request(self, part: range, lines: list[Any], identity: BatchId | None) -> Request:
        some = lines if len(part) == len(lines) else lines[part.start : part.stop]
        body = _joined(some, self.format)
        ours = {"Content-Type": TYPES[self.format]}
        if self.gzip:
            body = gzip.compress(body, 6, mtime=0)
            ours["Content-Encoding"] = "gzip"
        if identity is not None and self.key_header is not None:
            named = identity if len(part) == len(lines) else (*identity, part.start, part.stop)
            ours[self.key_header] = str(uuid5(_NAMESPACE, repr(tuple(named))))
        given = dict(self._given_headers())
        theirs = {name.lower() for name in given}
        return Request({n: v for n, v in ours.items() if n.lower() not in theirs} | given, body)

    def _given_headers(self) -> Mapping[str, str]:
        if not callable(self.headers):
            return self.headers
        try:
            return self.headers()
        except Exception as error:
            raise Outage(f"{self.url}: headers() failed: {error!r}") from error


def _joined(lines: Sequence[Any], format_: Format) -> bytes:
    """Return one body of them, which are texts, or bytes."""
    before, between, after = ("", "\n", "\n") if format_ == "ndjson" else ("[", ",", "]")
    if isinstance(lines[0], str):
        return f"{before}{between.join(lines)}{after}".encode()
    return before.encode() + between.encode().join(lines) + after.encode()


def _checked(line: bytes, *, is_line: bool) -> bytes:
    if is_line and b"\n" in line:
        raise ValueError("a line break within a line: expected what encode= returns without")
    return bytes(line)


class _Outcome:
    """What has become of the items of a batch."""

    def __init__(self, made: Rows) -> None:
        self._made = made
        self._retry = Refused()
        self._reject = Refused(made.refused)

    def add(self, part: range, said: tuple[Refused, Refused]) -> None:
        """Take note of what was said of a *part*, by number within it."""
        places = self._made.places
        for found, numbers in zip((self._retry, self._reject), said, strict=True):
            for number, error in numbers.items():
                found[places[part[number]]] = bare(error)

    def tell(self) -> None:
        """Raise what there is to say."""
        if self._retry or self._reject:
            reject = dict(sorted(self._reject.items()))
            raise PartialFailure.at(retry=dict(sorted(self._retry.items())), reject=reject)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def to_json(row: Any) -> str:
    """Return *row* as JSON, in a line; raise `TypeError` or `ValueError` for what is none."""
    return _ENCODER.encode(row)
