"""What a shared store says of a parcel, or of a claim, that is not as it was asked for."""

from ..errors import StorageAway as StorageAway  # noqa: PLC0414  # one of these, too
from ..errors import StorageError


class Gap(StorageError):
    """The storage has less of a producer than it has acknowledged: it lost the rest."""

    had = 0
    """How many records of this producer the partition has had, as far as it knows."""


class Part(StorageError):
    """The storage has a part of a parcel already: all up to the mark `upto`."""

    upto = 0
    had = 0


class Sealed(StorageError):
    """The partition takes nothing any more: there is another layout now."""


class ClaimLost(StorageError):
    """Somebody else has the partition, or may have."""
