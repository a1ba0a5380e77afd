"""
The names and types of options, as keyword arguments: that is how Python spells them.

They are declared in `settings`; a test holds the two together.
"""

from collections.abc import Callable, Collection
from typing import Any, Literal, TypedDict

from ...abc import Clock, DeadLetterHandler, Hook, SharedStorage, Storage
from .retry import Retry

BatchSize = int | Literal["table"]
WhenFull = Literal["block", "raise", "drop_newest", "drop_oldest"]


class Tunable(TypedDict, total=False):
    """Options that `update_options()` takes."""

    processing_interval: float
    interval_jitter: float
    processing_batch_size: BatchSize
    processing_timeout: float
    flush_at: int | None
    retry: Retry
    exit_timeout: float | None


class CommonOptions(TypedDict, total=False):
    """Options of both kinds, apart from those whose types depend on what is buffered."""

    partitions: int | None
    processing_interval: float
    interval_jitter: float
    processing_timeout: float
    flush_at: int | None
    max_size: int | None
    max_bytes: int | None
    size_of: Callable[[Any], int] | None
    when_full: WhenFull
    block_timeout: float | None
    retry: Retry
    dead_letter: DeadLetterHandler | None
    exit_timeout: float | None
    hooks: Collection[Hook]
    clock: Clock
    storage: Storage | SharedStorage | None


class MapOptions(CommonOptions, total=False):
    """Options of a Map, apart from those whose types depend on what is buffered."""

    remember_versions: int
