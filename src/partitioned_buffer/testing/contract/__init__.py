"""
What buffers expect of a storage, as tests that pytest runs over yours.

    class TestMine(StorageContract):
        def make(self, tmp_path):
            return MyStorage(tmp_path / "events")

        def crashed(self, storage, tmp_path): ...    # see `base`
        def buried(self, storage): ...

    base.py       what a storage under test has to be given, and what the tests share
    watched.py    a storage between the buffer and yours, that fails when told
    delivery.py   what is accepted is delivered, in order; batch_id()
    recovery.py   what a crash, or a stop, has left
    bounds.py     a full buffer
    trouble.py    a storage that fails; items that cannot be stored, or read
    opening.py    who may open it, and with how many partitions
    tasks.py      what only tasks have: cancelling, and writes that must not wait
    maps.py       the same for Maps
    shared/       those of a shared storage
"""

from .bounds import Bounds
from .delivery import Delivery
from .maps import MapStorageContract
from .opening import Opening
from .recovery import Recovery
from .shared import SharedMapContract, SharedStoreContract
from .tasks import Tasks
from .trouble import Trouble

__all__ = ["MapStorageContract", "SharedMapContract", "SharedStoreContract", "StorageContract"]


class StorageContract(Delivery, Recovery, Bounds, Trouble, Opening, Tasks):
    """Everything that is expected of a Queue's storage: subclass it, and give `make`."""
