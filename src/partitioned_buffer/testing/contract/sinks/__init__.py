"""
What a sink has to be, as tests that pytest runs over yours.

    class TestMine(SinkContract):
        cannot = {"throttled": "a file has nobody to say so"}

        def make(self, tmp_path, **options):
            return MySink(tmp_path / "rows", **options)

        def found(self, tmp_path): ...      # see `base`: what else is given, and what may be

    base.py       what a sink under test has to be given
    using.py      a sink in use, called as by a buffer, and in one; threads and tasks alike
    saying.py     what it raises for which failure
    repeating.py  a batch that comes twice
    buffers.py    in a Queue and in a Map, from end to end
    keeping.py    time limits, and what is left behind
"""

from .buffers import Buffers
from .keeping import Keeping
from .repeating import Repeating
from .saying import Saying

__all__ = ["SinkContract"]


class SinkContract(Saying, Repeating, Buffers, Keeping):
    """Everything that is expected of a sink: subclass it, and give `make`, `found` and the rest."""
