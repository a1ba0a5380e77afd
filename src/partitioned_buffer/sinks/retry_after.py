"""
When an answer of HTTP says to come back: its header `Retry-After` (RFC 9110, 10.2.3).
"""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 3600.0
"""Seconds: whoever is told to wait longer asks again by then."""

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
"""With fractions, which the RFC does not know: servers send them."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return in how many seconds; None: *headers*, named in small letters, do not say it."""
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), LONGEST)
    then = _time(value)
    if then is None:
        return None
    # By the clock from which it is said, which may be another than ours.
    now = _time(headers.get("date", ""))
    return min(max(0.0, then - (time.time() if now is None else now)), LONGEST)


def _time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
