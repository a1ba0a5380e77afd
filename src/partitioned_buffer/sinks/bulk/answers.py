"""
What an answer says of each action.

    200, 201            there
    409                 something newer is there, or the same; or that is a conflict, if so asked.
                        Of an update: somebody else wrote in between, so it is tried again
    404 of a delete     it is not there any more
    404 of an index     an outage: somebody has to make it
    401, 403            an outage: forbidden, or the index is read-only
    408, 429, 502-504   an outage: they are busy, or away
    5xx                 tried again, and counted
    400 and the like    rejected, with the reason
"""

from typing import Any, NamedTuple

from ...errors import Outage
from ..rows import Refused
from .lines import Lines

_CONFLICT, _MISSING = 409, 404
_OUTAGES = frozenset({401, 403, 408, 429, 502, 503, 504})
_NO_INDEX = "index_not_found_exception"


class Said(NamedTuple):
    """By their places in the batch: what will never do, and what is to be tried again; and why."""

    rejected: Refused
    failed: Refused


def read(made: Lines, answer: Any, *, is_conflict: bool) -> Said:
    """Return what the *answer* to what was *made* says; raise `Outage` if it is none."""
    said, items = Said({}, {}), _items(answer, len(made.places))
    for number, item in enumerate(items if answer["errors"] else ()):
        (told,) = item.values()
        action, status = made.actions[number], told["status"]
        if status < 300 or (status == _MISSING and action == "delete" and "error" not in told):
            continue
        may_conflict = is_conflict and made.is_named[number]  # nobody else has ids of ours
        if status == _CONFLICT and action != "update" and not may_conflict:
            continue
        kind, text = _reason(told)
        place = made.places[number]
        if status in _OUTAGES or kind == _NO_INDEX:
            said.failed[place] = Outage(text)
        elif status >= 500 or (status == _CONFLICT and action == "update"):
            said.failed[place] = RuntimeError(text)
        else:
            said.rejected[place] = ValueError(text)
    return said


def _items(answer: Any, count: int) -> list[Any]:
    try:
        items: list[Any] = answer["items"]
        if isinstance(answer["errors"], bool) and len(items) == count:
            return items
    except (KeyError, TypeError):
        pass
    raise Outage(f"{str(answer)[:200]!r}: expected an answer to a bulk request of {count}")


def _reason(told: Any) -> tuple[str, str]:
    """Return of which type an error is, and all that is said of it."""
    error = told.get("error") or {}
    if not isinstance(error, dict):
        return "", f"{told['status']} {error}"
    cause = dict[str, Any](error)
    parts: list[str] = []
    while cause and len(parts) < 3:
        parts.append(f"{cause.get('type', 'error')}: {cause.get('reason', 'no reason given')}")
        cause = cause.get("caused_by") or {}
    return str(error.get("type", "")), f"{told['status']} {', by '.join(parts)}"
