"""
What it means that a message was not delivered.
"""

from typing import Any

from ...errors import Outage

ALONE = frozenset({
    "MSG_SIZE_TOO_LARGE",
    "INVALID_MSG_SIZE",
    "INVALID_RECORD",
    "INVALID_TIMESTAMP",
    "_INVALID_DIFFERENT_RECORD",
})  # fmt: skip
"""Names of errors that are a message's, of which a broker blames all that came in one request."""

PURGED = frozenset({"_PURGE_QUEUE", "_PURGE_INFLIGHT"})
"""Names of errors of what was not acknowledged in time."""

_WRITE = "expected a client that may write to it"
_MEND = {
    "TOPIC_AUTHORIZATION_FAILED": _WRITE,
    "CLUSTER_AUTHORIZATION_FAILED": f"{_WRITE}, idempotently",
    "SASL_AUTHENTICATION_FAILED": "expected credentials that the brokers know",
    "_AUTHENTICATION": "expected credentials that the brokers know",
    "UNKNOWN_TOPIC_OR_PART": "expected a topic that somebody has made",
    "_UNKNOWN_TOPIC": "expected a topic that somebody has made",
    "_UNKNOWN_PARTITION": "expected a topic that has partitions",
    "TOPIC_EXCEPTION": "expected a name that brokers take",
}

OPERATORS = frozenset(_MEND)
"""Names of errors that last until somebody does something about them."""


def outage_of(topic: str, error: Any) -> Outage:
    """Return what to raise for the *error* of a message that is not to blame."""
    mend = _MEND.get(error.name())
    return Outage(f"topic {topic!r}: {_said(error)}" + (f": {mend}" if mend else ""))


def late(topic: str, seconds: float, trouble: str) -> Outage:
    """Return what to raise for what was not acknowledged in time."""
    why = f" ({trouble})" if trouble else ""
    return Outage(f"topic {topic!r}: no acknowledgement within {seconds:g} seconds{why}")


def rejection(size: int, error: Any) -> ValueError:
    """Return why a message is refused."""
    return ValueError(f"a message of {size} bytes: {_said(error)}")


def _said(error: Any) -> str:
    return str(error.str()).removeprefix("Unable to produce message: ")
