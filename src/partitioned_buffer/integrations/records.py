"""
A record that another thread may read, later.

What a record was made of may change when the call that made it has returned: the arguments of its
message, the error that is going on. Everything of that kind is made text in the caller.
"""

import logging
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Final
from uuid import UUID

PLAIN: Final = frozenset(
    {str, int, float, bool, NoneType, bytes, complex, Decimal, UUID}
    | {date, datetime, time, timedelta}
)
"""Types of what stays as it is."""

_plainest: Final = logging.Formatter()
_new: Final = object.__new__


class BufferedRecord(logging.LogRecord):
    """
    A record to be formatted by the worker: its text is its line, formatted once.

    Its message is safe, and its error is text (`exc_text`); what `extra` has brought is as it was.
    """

    __slots__ = ("_failed", "_format", "_line")

    _format: Callable[[logging.LogRecord], Any]
    _failed: Callable[[logging.LogRecord], None]
    _line: Any

    def __str__(self) -> str:
        """Return the line; where formatting fails, what it would have been made of."""
        try:
            return str(self._line)
        except AttributeError:
            pass
        try:
            self._line = self._format(self)
        except Exception:
            self._failed(self)
            self._line = f"{self.levelname}:{self.name}:{self.msg!r} % {self.args!r}"
        return str(self._line)


def carried(
    record: logging.LogRecord,
    handler: logging.Handler,
) -> BufferedRecord:
    """Return *record* as another thread may have it, to be formatted by *handler*."""
    kept = _new(BufferedRecord)
    fields = kept.__dict__ = record.__dict__.copy()  # other handlers go on with their own
    kept._format, kept._failed = handler.format, handler.handleError
    if not _is_safe(record.msg, record.args):
        fields["msg"], fields["args"] = record.getMessage(), None
    if record.exc_info:
        if not record.exc_text:
            formatter = handler.formatter or _plainest
            fields["exc_text"] = formatter.formatException(record.exc_info)
        fields["exc_info"] = None  # it holds every frame, and all that is in them
    return kept


def _is_safe(message: object, args: Any) -> bool:
    if type(message) is not str:
        return False
    if not args:
        return True
    if type(args) is not tuple:  # a mapping, whose values may be changed
        return False
    for each in args:  # noqa: SIM110  # a generator takes twice as long
        if type(each) not in PLAIN:
            return False
    return True
