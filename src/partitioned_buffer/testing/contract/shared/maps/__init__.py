"""
What buffers expect of a shared storage that keeps Maps: see `SharedStoreContract`.

    ops.py       what is written, and what is found of it
    base.py      a producer and a worker, after whose calls the books balance
    modes.py     what becomes of each op; which version is newer
    numbers.py   sums and parts
    parcels.py   what is sent is done once, or refused
    getting.py   what is found of a key; any keys
    swaps.py     what a step brings
    settling.py  what is settled, remembered, given up
    layouts.py   for what it was made; other partitions
"""

from .getting import Getting, Keys
from .layouts import MapLayouts
from .modes import Modes, Together, Versions
from .numbers import Numbers, Parts
from .parcels import Parcels, Refused
from .settling import GivenUp, Remembering, Settling
from .swaps import Orders, Swaps

__all__ = ["SharedMapContract"]


class Written(Modes, Versions, Together, Numbers, Parts, Parcels, Refused, Getting, Keys):
    """What is expected where a Map is written, and looked at."""


class Delivered(Swaps, Orders, Settling, Remembering, GivenUp):
    """What is expected where it is delivered."""


class SharedMapContract(Written, Delivered, MapLayouts):
    """Everything that is expected of a shared storage of Maps: subclass it, and give `make`."""
