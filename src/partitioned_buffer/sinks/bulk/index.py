"""
Documents of an index of Elasticsearch or OpenSearch.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ...errors import Outage, PartialFailure, Split
from ..base import AsyncClosing, Closing, expect, expect_count, expect_flag, expect_seconds
from .answers import read
from .clients import caller, dumper, expect_client, said_by
from .lines import Lines, Maker

Of = Callable[[Any], Any]

_NOT_OURS = frozenset({"body", "filter_path", "index", "operations", "params", "request_timeout"})


class _Bulk:
    """What both do alike."""

    _is_async = False

    def __init__(
        self,
        client: Any,
        index: str | Of,
        *,
        row: Of | None = None,
        id: str | Of | None = None,  # noqa: A002  # the word of its users
        action: str | Of = "index",
        version: Of | None = None,
        routing: str | Of | None = None,
        upsert: bool = True,
        conflict: Literal["delivered", "reject"] = "delivered",
        max_bytes: int = 90_000_000,
        parameters: Mapping[str, Any] | None = None,
        timeout: float = 30.0,
    ) -> None:
        expect_client(client, is_async=self._is_async)
        expect_flag("upsert", upsert)
        expect(conflict in ("delivered", "reject"), "conflict", conflict, "'delivered' or 'reject'")
        expect_count("max_bytes", max_bytes)
        expect_seconds("timeout", timeout)
        own = dict(parameters or {})
        expect(not own.keys() & _NOT_OURS, "parameters", own, f"none of {sorted(_NOT_OURS)}")
        self._name, self._max_bytes = index, max_bytes
        self._is_conflict = conflict == "reject"
        options = {"index": index, "row": row, "id": id, "action": action}
        options |= {"version": version, "routing": routing}
        self._make = Maker(dumper(client), options, upsert=upsert)
        self._call = caller(client, own, timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    def _body(self, made: Lines) -> bytes:
        body = b"".join(made.lines)
        if len(body) > self._max_bytes:
            raise Split(f"a request of {len(body)} bytes: expected {self._max_bytes} at most")
        return body

    def _settle(self, batch: Any, made: Lines, answer: Any) -> None:
        """Raise what is to be said of the *batch*; None: there was nothing to ask for."""
        rejected = dict(made.refused)
        failed: dict[int, BaseException] = {}
        if answer is not None:
            said = read(made, answer, is_conflict=self._is_conflict)
            rejected, failed = rejected | said.rejected, said.failed
        if len(failed) == len(batch) and all(isinstance(e, Outage) for e in failed.values()):
            raise next(iter(failed.values()))
        if failed or rejected:
            raise PartialFailure.at(retry=failed, reject=dict(sorted(rejected.items())))


class BulkIndex(_Bulk, Closing):
    """
    Indexes documents, a batch in a bulk request.

    *client*: an `Elasticsearch` or `OpenSearch`, or what has a `bulk` like one of theirs; it is its
    user's to close. *index*: the name of an index, an alias or a data stream.

    *row*: a function that makes a document, a dict, of an item. Unless given it is the item, or the
    value of a Map's entry.

    *id*: the name of a field, or a function of an item. Unless given it is the key of a Map's
    entry; a Queue's item has one by its batch's id, so a batch that comes twice does no harm.

    *action*: "index" (which replaces), "create", "update" (with a part of a document; with
    *upsert*, it may be missing) or "delete".

    *version*: a function of an item, for "index" and "delete". Unless given it is that of a Map's
    `put_newer`. What is newer wins in the index, too.

    *index*, *action*, *routing* may be functions of an item.

    *conflict*: what a 409 means, of all but an update. "delivered": it is there, or something
    newer. "reject": of a document with an id of its own, that it is refused.

    *max_bytes*: of a request; by default less than the 100 MB of which servers take no more.
    *parameters*: those of every request, such as `{"pipeline": "clean"}`. *timeout*: seconds to
    wait for an answer.

    A document that is refused is rejected with what the server says. What is missing, forbidden,
    full or away is an outage. Raises `InvalidOption`.
    """

    def __call__(self, batch: Any, /) -> None:
        """Index *batch*. Raises `Outage`, `RetryAfter`, `Split`, and `PartialFailure` for some."""
        made, answer = self._make(batch), None
        if made.lines:
            body = self._body(made)
            try:
                answer = self._call(body)
            except Exception as error:
                if (said := said_by(error)) is None:
                    raise
                raise said from error
        self._settle(batch, made, answer)


class AsyncBulkIndex(_Bulk, AsyncClosing):
    """The same by an `AsyncElasticsearch` or `AsyncOpenSearch`."""

    _is_async = True

    async def __call__(self, batch: Any, /) -> None:
        """Index *batch*. Raises `Outage`, `RetryAfter`, `Split`, and `PartialFailure` for some."""
        made, answer = self._make(batch), None
        if made.lines:
            body = self._body(made)
            try:
                answer = await self._call(body)
            except Exception as error:
                if (said := said_by(error)) is None:
                    raise
                raise said from error
        self._settle(batch, made, answer)
