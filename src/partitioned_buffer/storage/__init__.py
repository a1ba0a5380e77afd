"""Where what is accepted waits, for a buffer's option `storage`."""

from .sqlite import SQLite

__all__ = ["SQLite"]
