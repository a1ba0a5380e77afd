"""
What an answer means, by its status.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from ...errors import InvalidOption, Outage, Reject, RetryAfter, Split
from ..retry_after import retry_after

Meaning = Literal["delivered", "reject", "halve", "split", "outage", "failed"]
"""
    delivered  all of it is there
    reject     none of it is, or will be
    halve      some of it will not do: it is found by sending parts
    split      it is too large
    outage     it may come again, whoever asks; after a Retry-After, if there is one
    failed     nobody knows: the buffer tries again, and parts
"""
MEANINGS: Final = ("delivered", "reject", "halve", "split", "outage", "failed")

KNOWN: Mapping[int, Meaning] = {400: "halve", 413: "split", 422: "halve"}
"""Beside these, 2xx is delivered, and all else an outage: so nothing is lost."""

_HINTS = {
    207: "results for each item: say how they are read, by results=",
    401: "no valid credentials: see headers=",
    403: "these credentials are not allowed to: see headers=",
    404: "nobody is there: see the url",
    405: "it does not take that method: see method=",
    407: "a proxy wants credentials",
    415: "it does not take this format: see format=, gzip= and headers=",
}

_SAID = 500
"""Of how many characters of an answer is told."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By names in small letters."""
    body: bytes

    def json(self) -> Any:
        """Return what the body says."""
        return json.loads(self.body)


class Failed(Exception):
    """An answer that says nothing of what became of the batch."""


Result = int | tuple[int, str]
"""What became of an item: a status of HTTP, and why."""


def meaning_of(answer: Answer, known: Mapping[int, Meaning], *, read: bool) -> Meaning:
    """Return what *answer* means; *read*: whether somebody reads what it says of items."""
    if answer.status in known:
        return known[answer.status]
    if answer.status == 207 and not read:
        return "outage"
    return "delivered" if 200 <= answer.status < 300 else "outage"


def error_of(answer: Answer, meaning: Meaning, url: str) -> Exception:
    """Return what is to be raised."""
    said = f"{url}: {words(answer)}"
    seconds = retry_after(answer.headers)
    if meaning == "outage":
        return Outage(said) if seconds is None else _later(seconds, said)
    kinds: dict[str, type[Exception]] = {"reject": Reject, "halve": Reject, "split": Split}
    return kinds.get(meaning, Failed)(said)


def words(answer: Answer) -> str:
    """Return what an answer says, in a line, for whoever has to do something about it."""
    said = " ".join(answer.body[: 4 * _SAID].decode(errors="replace").split())[:_SAID]
    hint = _HINTS.get(answer.status, "")
    if 300 <= answer.status < 400:
        hint = (
            f"it redirects to {answer.headers.get('location')}: that is not followed, see the url"
        )
    return f"HTTP {answer.status}" + "".join(f": {each}" for each in (hint, said) if each)


def _later(seconds: float, said: str) -> RetryAfter:
    error = RetryAfter(seconds, everyone=True)
    error.args = (f"{error.args[0]}: {said}",)
    return error


def outcomes(
    results: Iterable[Result], count: int
) -> tuple[dict[int, Exception], dict[int, Exception]]:
    """Return which of *count* items are to be tried again, and which never, by their number."""
    found = list(results)
    if len(found) != count:
        raise InvalidOption(
            f"results=...: expected one for each of {count} items, got {len(found)}"
        )
    retry: dict[int, Exception] = {}
    reject: dict[int, Exception] = {}
    for number, result in enumerate(found):
        status, why = result if isinstance(result, tuple) else (result, "")
        if isinstance(status, bool) or not isinstance(status, int):
            raise InvalidOption(f"results=...: expected statuses of HTTP, got {result!r}")
        said = f"HTTP {status}: {why}" if why else f"HTTP {status}"
        if status in (408, 425, 429) or status >= 500:
            retry[number] = Outage(said)
        elif not 200 <= status < 300:
            reject[number] = Reject(said)
    return retry, reject
