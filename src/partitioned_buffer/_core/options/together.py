"""Options that do nothing, or cannot be had, without another."""

from typing import Any

from ...errors import InvalidOption
from .checks import PROCESSOR


def check_together(made: Any) -> None:
    """Refuse an option that would do nothing for want of another."""
    if made.processor is None and not made.is_shared:
        raise InvalidOption(
            f"processor=None: expected {PROCESSOR.expected}; there may be none where the storage "
            "is shared, and other processes deliver"
        )
    if made.when_full != "block" and not made.bounded:
        raise InvalidOption(f"when_full={made.when_full!r}: expected max_size or max_bytes with it")
    if made.block_timeout is not None and not (made.bounded and made.when_full == "block"):
        raise InvalidOption(
            f"block_timeout={made.block_timeout!r}: expected max_size or max_bytes with it, and "
            "when_full='block'"
        )
    if made.size_of is not None and made.max_bytes is None:
        raise InvalidOption(f"size_of={made.size_of!r}: expected max_bytes with it")
    if made.size_of is not None and made.storage is not None:
        raise InvalidOption(
            f"size_of={made.size_of!r}: expected none with storage, where stored bytes are counted"
        )
