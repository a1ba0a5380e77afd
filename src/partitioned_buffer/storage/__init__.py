"""Where what is accepted waits, for a buffer's option `storage`."""

from .redis import Redis
from .sqlite import SQLite

__all__ = ["Redis", "SQLite"]
