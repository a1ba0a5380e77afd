"""
A file for what is given up, one line of JSON per item, and the way back from it.

    file.py         DeadLetterFile: the handler, and its options
    records.py      one line: from an item to JSON, and back
    appending.py    whole lines at the end of a file that may be renamed at any time
    replay.py       the way back: set the file aside, give it to a buffer, forget it
"""

from .file import DeadLetterFile
from .replay import Replayed

__all__ = ["DeadLetterFile", "Replayed"]

for _public in (DeadLetterFile, Replayed):
    _public.__module__ = __name__  # tracebacks, reprs and pickles name the public module
