"""
What buffers expect of a shared storage: of its stores, each as another process has it.

    class TestMine(SharedStoreContract):  # SharedMapContract likewise, if it keeps Maps
        def make(self, tmp_path):
            return MyServer(a_name_that_is_new())

        def expire(self, storage, partition): ...    # see `base`

    base.py       what a storage under test has to be given; a producer and a worker
    appending.py  what is appended is there once, and in order; limits
    claims.py     who may deliver a partition, and who not any more
    stepping.py   what is read and settled; what is given up; who listens
    layouts.py    for whom it was made; other partitions
    maps/         the same for Maps
"""

from .appending import Appending, Limited
from .claims import Claims
from .layouts import Layouts
from .maps import SharedMapContract
from .stepping import Aside, Stepping

__all__ = ["SharedMapContract", "SharedStoreContract"]


class SharedStoreContract(Appending, Limited, Claims, Stepping, Aside, Layouts):
    """Everything that is expected of a shared storage of Queues: subclass it, and give `make`."""
