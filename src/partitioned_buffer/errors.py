"""
Everything that can fail, drawn as a tree.

    PartitionedBufferError
    ├── BufferNotRunning      (RuntimeError)  a write before start() or after stop()
    ├── BufferAlreadyRunning  (RuntimeError)  started twice, or its name is taken
    ├── BufferNotFound        (LookupError)   no running buffer has that name
    ├── WrongThread           (RuntimeError)  a wait that could only wait for itself
    └── InvalidOption         (ValueError)    an option's value is not what it should be
        └── UnknownOption     (TypeError)     there is no such option

A write that raises one of these has changed nothing. `flush()` raises the
standard `TimeoutError`; bad arguments of a write raise `TypeError`.
"""


class PartitionedBufferError(Exception):
    """Base of every error of this library."""


class BufferNotRunning(PartitionedBufferError, RuntimeError):
    """The buffer is not running: it was never started, or it has been stopped."""


class BufferAlreadyRunning(PartitionedBufferError, RuntimeError):
    """The buffer runs already, or another running buffer has its name."""


class BufferNotFound(PartitionedBufferError, LookupError):
    """No running buffer has that name (or it is of another kind)."""


class WrongThread(PartitionedBufferError, RuntimeError):
    """A worker of the buffer was asked to wait for itself, which would never end."""


class InvalidOption(PartitionedBufferError, ValueError):
    """An option's value is not what the option takes."""


class UnknownOption(InvalidOption, TypeError):
    """There is no option of that name."""
