"""
Break what keeps a buffer in a file, one place at a time, and see a test go red.

    python tests/mutants/stored.py [FIRST LETTERS OF A MUTANT'S NAME]
"""

from pathlib import Path

from breaking import Mutant, Where, break_each
from stored_backing import MUTANTS as OF_BACKING

SLOTS, JOURNAL = ("storage/test_slots.py",), ("storage/test_journal.py",)
DAMAGE, FORKED = ("storage/test_damage.py",), ("storage/test_forked.py",)
OPENING, WATCH = ("storage/test_opening.py",), ("storage/test_watch.py",)
RELAYOUT, FULL = ("storage/test_relayout.py",), ("storage/test_full_disk.py",)
POWER, CONTRACT = ("storage/test_power.py",), ("backing/test_contract_sqlite.py",)
CRC = "zlib.crc32(data, zlib.crc32(_KEYS.pack({}, count)))"

MUTANTS = [
    Mutant(
        "a slot without its checksum",
        "storage/sqlite/slots.py",
        'int.from_bytes(slot[:4], "little") != crc32(slot[4:])',
        "False",
        tests=SLOTS,
    ),
    Mutant(
        "a cursor that always has the same slot",
        "storage/sqlite/slots.py",
        "+ counter % 2) * SIZE",
        "+ 0) * SIZE",
        tests=SLOTS,
    ),
    Mutant(
        "kept positions that fit no slot, forgotten",
        "storage/sqlite/slots.py",
        "self._overdue[partition] = now",
        "pass",
        tests=JOURNAL,
    ),
    Mutant(
        "a cursor in a row that is older than its slot",
        "storage/sqlite/slots.py",
        "self._overdue.pop(partition, None)",
        "pass",  # in both places
        tests=SLOTS,
    ),
    Mutant(
        "a cursor that came during the commit, and counts as written",
        "storage/sqlite/slots.py",
        "if self._overdue.get(partition) is cursor:",
        "if partition in self._overdue:",
        tests=SLOTS,
    ),
    Mutant(
        "rows without a checksum",
        "storage/sqlite/chunks.py",
        f"return {CRC.format('key')} == crc",
        "return True",
        tests=DAMAGE,
    ),
    Mutant(
        "a checksum of the data alone",
        "storage/sqlite/chunks.py",
        CRC.format("row"),
        "zlib.crc32(data)",
        also=(CRC.format("key"), "zlib.crc32(data)"),
        tests=DAMAGE,
    ),
    Mutant(
        "what is lost is not said",
        "storage/sqlite/chunks.py",
        "whole.append(Chunk(first, chunk.start - first, None))",
        "pass",
        tests=DAMAGE,
    ),
    Mutant(
        "settled chunks weigh something",
        "storage/sqlite/chunks.py",
        "and id + n > ?",
        "and ? > 0",
        tests=JOURNAL,
    ),
    Mutant(
        "positions that are given again",
        "storage/sqlite/accepting.py",
        "max(end, now.cursor, self.ends[partition])",
        "end",
        tests=(*JOURNAL, *SLOTS),
    ),
    Mutant(
        "an append that was interrupted knows where it was",
        "storage/sqlite/accepting.py",
        "self.are_known = False",
        "pass",
        within="def append(",
        tests=JOURNAL,
    ),
    Mutant(
        "a snapshot beside what it replaces",
        "storage/sqlite/accepting.py",
        'db.execute("delete from chunk where id between ? and ?", before)',
        "pass",
        tests=JOURNAL,
    ),
    Mutant(
        "commits that never wait for the disk",
        "storage/sqlite/file.py",
        '"full" if now and self._durable else "normal"',
        '"normal"',
        tests=POWER,
    ),
    Mutant(
        "a commit that does not wait, after one that did not have to",
        "storage/sqlite/file.py",
        "self.is_durable = now",
        "self.is_durable = True",
        tests=POWER,
    ),
    Mutant(
        "a transaction that failed, and stays",
        "storage/sqlite/file.py",
        "undo(db)",
        "pass",
        within="except sqlite3.Error",
        also=("undo(db)", "pass"),
        tests=(*JOURNAL, *FULL),
    ),
    Mutant(
        "nobody looks whether a commit went to a file without a name",
        "storage/sqlite/file.py",
        "self.watch.trouble()",
        "None",
        within="def look_again(",
        tests=WATCH,
    ),
    Mutant(
        "another file of the same name",
        "storage/sqlite/watch.py",
        "and one.st_ino == other.st_ino",
        "",
        tests=WATCH,
    ),
    Mutant(
        "a lock that is not taken",
        "storage/sqlite/lock.py",
        "if not _locked(fd):",
        "if False:",
        tests=OPENING,
    ),
    Mutant(
        "a lock of a file that has lost its name",
        "storage/sqlite/lock.py",
        "if os.path.samestat(os.fstat(fd), Path(self._path).stat()):",
        "if True:",
        tests=OPENING,
    ),
    Mutant(
        "a child that keeps the lock",
        "storage/sqlite/lock.py",
        "os.close(fd)",
        "pass",
        within="def forked(",
        tests=FORKED,
    ),
    Mutant(
        "ballast that takes no room",
        "storage/sqlite/ballast.py",
        "_fill(fd)",
        "pass",
        within="def take(",
        tests=FULL,
    ),
    Mutant(
        "ballast that is not given up",
        "storage/sqlite/ballast.py",
        "os.truncate(self._path, 0)",
        "pass",
        tests=FULL,
    ),
    Mutant(
        "one row too many is deleted",
        "storage/sqlite/reclaiming.py",
        "if (key & MASK) + count <= now.cursor",
        "if (key & MASK) < now.cursor",
        tests=JOURNAL,
    ),
    Mutant(
        "what is kept is deleted",
        "storage/sqlite/reclaiming.py",
        "and not any(0 <= each - (key & MASK) < count for each in now.kept)",
        "",
        tests=JOURNAL,
    ),
    Mutant(
        "rows are deleted, and no cursor says so",
        "storage/sqlite/reclaiming.py",
        "write_part(db, number_of(self._layout, partition), now, ends[partition])",
        "pass",
        tests=(*JOURNAL, *SLOTS),
    ),
    Mutant(
        "a partition that has all the turns",
        "storage/sqlite/reclaiming.py",
        "self._turn = partition",
        "pass",
        tests=JOURNAL,
    ),
    Mutant(
        "what is kept is not moved",
        "storage/sqlite/relayout.py",
        "or start + each in kept",
        "",
        tests=RELAYOUT,
    ),
    Mutant(
        "who is killed in the middle of a move counts it as lost",
        "storage/sqlite/relayout.py",
        "write_part(db, number, Cursor(counter, cursor, kept), stop)",
        "pass",
        tests=RELAYOUT,
    ),
    Mutant(
        "ids that do not change with the layout",
        "storage/sqlite/__init__.py",
        'f"{journal.id.hex()}-{journal.layout}"',
        "journal.id.hex()",
        tests=CONTRACT,
    ),
]

if __name__ == "__main__":
    places = Where(Path("partitioned_buffer"), "tests")
    break_each([*MUTANTS, *OF_BACKING], (), places, compiled=False)
