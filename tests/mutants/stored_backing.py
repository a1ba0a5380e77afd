"""
What is broken of buffers that a store backs: see `stored.py`.
"""

from breaking import Mutant

ITSELF, COMMITS = ("backing/test_queue_table.py",), ("backing/test_committer.py",)
CONTRACT = ("backing/test_contract_sqlite.py",)
STORED = ("backing/test_map_stored.py",)
REPLAY, TABLE = ("backing/test_map_replay.py",), ("backing/test_map_table.py",)
LINE, LANDING = "_core/backing/queue/line.py", "_core/backing/queue/landing.py"
COMMITTER = "_core/backing/committer.py"

MUTANTS = [
    Mutant(
        "what is kept counts as settled",
        LINE,
        "kept = [place for place in hand if place < mark]",
        "kept = []",
        tests=CONTRACT,
    ),
    Mutant(
        "what is in hand counts as settled",
        LINE,
        "first = hand[len(kept)]",
        "first = hand[-1] + 1",
        tests=CONTRACT,
    ),
    Mutant(
        "of a batch in part all comes again",
        LINE,
        "if kept and kept[0] != len(chosen):",
        "if False:",
        tests=CONTRACT,
    ),
    Mutant(
        "room that is given back twice",
        LINE,
        "room.used -= size",
        "room.used -= 2 * size",
        tests=CONTRACT,
    ),
    Mutant(
        "a first batch of another size",
        LINE,
        "first, self._first_size = self._first_size, None",
        "first = self._first_size = None",
        tests=CONTRACT,
    ),
    Mutant(
        "what is read next is what comes behind the cursor",
        "_core/backing/queue/table.py",
        "read(self.index, self._loaded, LOADED)",
        "read(self.index, self._store.cursor(self.index).cursor, LOADED)",
        tests=(*ITSELF, *CONTRACT),
    ),
    Mutant(
        "a batch that its processor may change in hand",
        LINE,
        "batch = items[at:end]",
        "batch = hand.items",
        tests=ITSELF,
    ),
    Mutant(
        "who delivers keeps writers waiting",
        "_core/backing/queue/table.py",
        "if self._committer.is_awaited:",
        "if False:",
        tests=ITSELF,
    ),
    Mutant(
        "what is lost is not counted",
        "_core/backing/queue/table.py",
        '"undecodable"] += missing',
        '"undecodable"] += 0',
        tests=CONTRACT,
    ),
    Mutant(
        "chunks in memory in front of those on the disk",
        LANDING,
        "([], 0) if self._spilled else (made, size)",
        "(made, size)",
        tests=CONTRACT,
    ),
    Mutant(
        "the disk counts as read too early",
        "_core/backing/queue/table.py",
        "found[-1].start + found[-1].count >= end",
        "True",
        tests=ITSELF,
    ),
    Mutant(
        "what is settled stays on the disk",
        "_core/backing/queue/table.py",
        "or (cursor == self._end and not kept)",
        "",
        tests=ITSELF,
    ),
    Mutant(
        "what is packed goes before what was written earlier",
        LANDING,
        "if records:",
        "if False:",
        within="def chunks(",
        tests=ITSELF,
    ),
    Mutant(
        "hashes that are not written",
        "_core/backing/queue/hashes.py",
        "if max(hashes, default=NO_KEY) == NO_KEY:",
        "if True:",
        tests=CONTRACT,
    ),
    Mutant(
        "no key is one key",
        "_core/backing/queue/hashes.py",
        "together if hashed == NO_KEY else ",
        "",
        tests=ITSELF,
    ),
    Mutant(
        "a batch with gaps has the id of one without",
        "_core/backing/partition.py",
        "positions[-1] - first == size - 1",
        "True",
        tests=CONTRACT,
    ),
    Mutant(
        "who waits for what is in its commit is not told of it",
        COMMITTER,
        "self._room.look()",
        "pass",
        tests=("backing/test_waiting.py",),
    ),
    Mutant(
        "a write that is accepted before it is committed",
        COMMITTER,
        "        starts = self._store.append(",
        "        for ticket in taken:\n            ticket.outcome = MADE\n"
        "        starts = self._store.append(",
        tests=CONTRACT,
    ),
    Mutant(
        "a write that is given up when it is begun",
        COMMITTER,
        "return False",
        "return True",
        within="def is_mine(",
        tests=COMMITS,
    ),
    Mutant(
        "an error that one writer is told of",
        COMMITTER,
        "for ticket in begun:",
        "for ticket in begun[:1]:",
        within="def _commit_all(",
        tests=COMMITS,
    ),
    Mutant(
        "an error that all writers share",
        COMMITTER,
        "own = type(error)(*error.args)",
        "own = error",
        tests=COMMITS,
    ),
    Mutant(
        "commits of writers that do not wait for the disk",
        COMMITTER,
        "durable=any(ticket.durable for ticket in taken)",
        "durable=False",
        tests=COMMITS,
    ),
    Mutant(
        "what is settled at the end is not written",
        COMMITTER,
        "if ticket.durable and any(",
        "if any(",
        tests=(*COMMITS, *STORED),
    ),
    Mutant(
        "room that a ticket gives back twice",
        "_core/backing/room.py",
        "ticket.holds = False",
        "pass",
        tests=COMMITS,
    ),
    Mutant(
        "what came later is settled, too",
        "_core/backing/map/marks.py",
        "if before[POSITION] > upto:",
        "if False:",
        tests=REPLAY,
    ),
    Mutant(
        "what is buried is remembered as delivered",
        "_core/backing/map/marks.py",
        "if not buried:",
        "if True:",
        tests=REPLAY,
    ),
    Mutant(
        "what merge refused is not noted",
        "_core/backing/map/landing.py",
        "self._settled.append((VOID, op[1], at, None, 0))",
        "pass",
        tests=TABLE,
    ),
    Mutant(
        "what merge refused is noted after its writer was told",
        "_core/backing/map/stored.py",
        "if any(raised):",
        "if False:",
        tests=STORED,
    ),
    Mutant(
        "a snapshot without what is leaving",
        "_core/backing/map/landing.py",
        "in [*left, *inner]:",
        "in inner:",
        tests=TABLE,
    ),
    Mutant(
        "a log that is written anew all the time",
        "_core/backing/map/stored.py",
        "if self._logged <= LONG + TIMES * held:",
        "if False:",
        tests=STORED,
    ),
    Mutant(
        "what could not be noted is forgotten",
        "_core/backing/map/stored.py",
        "self.unsettle(settled)",
        "pass",
        within="def note(",
        tests=STORED,
    ),
    Mutant(
        "a Map's log that is moved as it is",
        "_core/backing/map/writes.py",
        "backing.prepare = partial(_compact_all, made)",
        "pass",
        tests=STORED,
    ),
]
