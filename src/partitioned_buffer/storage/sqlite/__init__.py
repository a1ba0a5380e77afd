"""
A journal of what was accepted, and how much of it is settled, in one SQLite file.

    journal.py      what a buffer stands on: append, read, settle, reclaim
    accepting.py    positions, and commits
    file.py         the database: its two connections, its commits, what it was made for
    terms.py        what a file was made for
    watch.py        whether the files are still those that were opened
    faults.py       what an error of SQLite, or of the system, means
    lock.py         one process per file
    chunks.py       rows: what was accepted, read back whole or said to be lost
    slots.py        cursors: what is settled, without a commit
    parts.py        cursors in the database
    reclaiming.py   room is given back
    ballast.py      room to give room back in, when the disk is full
    dead.py         what was given up, kept in the file
    relayout.py     another number of partitions than before

    PATH            the database            PATH-ack        cursors, two slots per partition
    PATH-wal, -shm  SQLite's own            PATH-lock       whose it is
    PATH-ballast    room, nothing in it
"""

from .journal import Journal

__all__ = ["Journal"]
