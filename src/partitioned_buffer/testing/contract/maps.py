"""What is expected of a Map's storage."""

from .base import Base


class MapStorageContract(Base):
    """Everything that is expected of a Map's storage: subclass it, and give `make`."""
