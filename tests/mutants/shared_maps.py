"""
Break a shared Map's server in memory, one place at a time, and see its contract go red.

    python tests/mutants/shared_maps.py [FIRST LETTERS OF A MUTANT'S NAME]
"""

from pathlib import Path

from breaking import Mutant, Where, break_each

LINE, RECORDS = "shared_map_line.py", "shared_records.py"
CONTRACT, MODEL = ("test_shared_map_dict.py",), ("test_shared_map_model.py",)

MUTANTS = [
    Mutant(
        "an equal version that wins",
        LINE,
        "return version > Record.of(found.data).beaten_by",
        "return version >= Record.of(found.data).beaten_by",
    ),
    Mutant(
        "a version that is compared as a float",
        LINE,
        "return known is None or version > known",
        "return known is None or float(version) > float(known)",
    ),
    Mutant(
        "what is in flight is beaten before what waits",
        LINE,
        "for held in (self.waiting, self.flying):",
        "for held in (self.flying, self.waiting):",
        within="def _is_newer(",
    ),
    Mutant(
        "what has no version is beaten by any",
        RECORDS,
        "return self.version if self.is_versioned else 0",
        "return self.version if self.is_versioned else -(1 << 63)",
    ),
    Mutant(
        "a version that outlives a delete",
        LINE,
        "        self.versions.forget(key)\n\n    def _is_newer(",
        "\n    def _is_newer(",
    ),
    Mutant(
        "a delete that does not reach what is in flight",
        LINE,
        "if self.flying.pop(key, None) is not None:",
        "if False:",
        within="def _delete(",
    ),
    Mutant(
        "what is cleared is cleared again by the next swap",
        RECORDS,
        "flags = self.flags & ~CLEARS",
        "flags = self.flags",
    ),
    Mutant(
        "what is not newer counts as nothing",
        LINE,
        "self.coalesced += 1\n            return False",
        "return False",
    ),
    Mutant(
        "updates that are forgotten",
        RECORDS,
        "new.updates + 1 + old.updates",
        "new.updates + 1",
    ),
    Mutant(
        "what does not beat is an update",
        LINE,
        "if op.mode == NEWER and not self._is_newer(key, op.version):",
        "if op.mode == NEWER and not self._is_newer(key, op.version) "
        "and not self.waiting.get(key):",
    ),
    Mutant(
        "a sum that a float does not hold",
        RECORDS,
        'return b"i%d" % added if abs(added) <= EXACT else None',
        'return b"i%d" % float(added)',
    ),
    Mutant(
        "a large whole number that becomes a float",
        RECORDS,
        "abs(number := int(text[1:])) > EXACT",
        "abs(number := int(float(text[1:]))) > (1 << 200)",
    ),
    Mutant(
        "a number among parts that is text",
        RECORDS,
        "size | NUMBER if record.mode == ADD else size",
        "size",
    ),
    Mutant(
        "parts in another order",
        RECORDS,
        "value=_parts(old) + _parts(new)",
        "value=_parts(new) + _parts(old)",
    ),
    Mutant(
        "parts without a bound",
        LINE,
        "self._size(key) > MOST_PARTS",
        "False",
    ),
    Mutant(
        "parts that never go in",
        LINE,
        "others.discard(key)",
        "pass",
    ),
    Mutant(
        "a half of what is refused is there",
        "shared_line.py",
        "self._go_back(before)",
        "pass",
        within="self._take(parcel, limit, now)",
    ),
    Mutant(
        "a way back that is gone on",
        LINE,
        "held = self.waiting.copy(), self.flying.copy(), self.versions.copy()",
        "held = self.waiting, self.flying, self.versions",
    ),
    Mutant(
        "a parcel that is done twice",
        "shared_line.py",
        "if had.mark >= parcel.last:",
        "if False:",
        also=("if had.mark >= parcel.first:", "if had.mark > parcel.last:"),
    ),
    Mutant(
        "a tally that nobody reads",
        LINE,
        "self.deleted += parcel.tally.deleted",
        "pass",
    ),
    Mutant(
        "a swap over what is in flight",
        LINE,
        "want.records > 0 and self.waiting and not self.flying",
        "want.records > 0 and self.waiting",
    ),
    Mutant(
        "a swap while something is in hand that was deleted",
        LINE,
        "if want.may_swap and want.records > 0",
        "if want.records > 0",
    ),
    Mutant(
        "a swap that nobody wants",
        LINE,
        "want.may_swap and want.records > 0",
        "want.may_swap",
    ),
    Mutant(
        "what is settled of another swap",
        LINE,
        "if want.settled == self.swap:",
        "if True:",
    ),
    Mutant(
        "a stale owner that settles",
        "shared_line.py",
        "if token != self.token or self.owner(now) is None:",
        "if self.owner(now) is None:",
    ),
    Mutant(
        "a delivered version that is not remembered",
        LINE,
        "if record.is_versioned:",
        "if False:",
    ),
    Mutant(
        "the version of what was delivered without one",
        LINE,
        "            else:\n                self.versions.forget(key)\n",
        "",
    ),
    Mutant(
        "a dead letter's version is remembered",
        LINE,
        "for key in buried:",
        "for key in [*buried, *(self._settle(buried, (), remember) or () if buried else ())]:",
    ),
    Mutant(
        "the newest version is forgotten first",
        LINE,
        "self._recent.get(key) or self._older.get(key)",
        "self._recent.get(key)",
    ),
    Mutant(
        "versions that are never forgotten",
        LINE,
        "if len(self._recent) >= most:",
        "if False:",
    ),
    Mutant(
        "one more is remembered than was asked for, of none",
        LINE,
        "if most > 0:",
        "if True:",
    ),
    Mutant(
        "a reply that was lost takes its entries with it",
        "shared_store.py",
        'self._faults.reply("step")  # before the claims move on: what was lost is read again',
        "[setattr(want.claim, 'state', found[1]) for want, found in zip(wants, answers)]; "
        'self._faults.reply("step")',
    ),
    Mutant(
        "another swap that is read from where the last one ended",
        LINE,
        "place if swap == self.swap else 0",
        "place",
    ),
    Mutant(
        "one that is skipped where another was deleted",
        LINE,
        "            place += 1\n",
        "            place += 1 + (waits is None)\n",
        within="def _read(",
    ),
    Mutant(
        "all that is wanted is all there is",
        LINE,
        "is_all = place >= len(self._order)",
        "is_all = len(entries) < want.records or place >= len(self._order)",
        within="def step(",
    ),
    Mutant(
        "a flush that ends with the swap before",
        LINE,
        "passed = self.swap - 1 if self.flying else self.swap",
        "passed = self.swap",
    ),
    Mutant(
        "what is deleted and dead is counted twice",
        LINE,
        "self.deleted -= 1",
        "pass",
    ),
    Mutant(
        "a step that was lost counts what is dead again",
        LINE,
        "self._gone.remove(key)",
        "pass",
    ),
    Mutant(
        "a mark that is anybody's",
        "shared_line.py",
        "return self._had.get(producer, Had()).mark",
        "return max((had.mark for had in self._had.values()), default=0)",
    ),
    Mutant(
        "nobody hears that something waits",
        LINE,
        "return not self.waiting",
        "return True",
        within="def is_idle(",
    ),
    Mutant(
        "other partitions while somebody works",
        "shared_server.py",
        "if owners:",
        "if False:",
    ),
    Mutant(
        "versions that are not moved",
        LINE,
        "to.versions.remember(key, version, sys.maxsize)",
        "to.versions.forget(key)",
    ),
    Mutant(
        "what is moved goes anywhere",
        LINE,
        "slots[each.hash % len(slots)] == line.partition",
        "each.hash % len(made) == line.partition",
    ),
    Mutant(
        "what is in flight is moved to what waits",
        LINE,
        "Moved(*each, True)",
        "Moved(*each, False)",
    ),
    Mutant(
        "the model: an equal version that wins",
        LINE,
        "return known is None or version > known",
        "return known is None or version >= known",
        tests=MODEL,
    ),
    Mutant(
        "the model: what is in hand is deleted without a trace",
        LINE,
        "if self.flying.pop(key, None) is not None:",
        "if self.flying.pop(key, None) is not None and False:",
        tests=MODEL,
    ),
    Mutant(
        "the model: a reply that was lost takes its entries with it",
        "shared_store.py",
        'self._faults.reply("step")  # before the claims move on: what was lost is read again',
        "[setattr(want.claim, 'state', found[1]) for want, found in zip(wants, answers)]; "
        'self._faults.reply("step")',
        tests=MODEL,
    ),
    Mutant(
        "the model: a sum that is a number of its own",
        RECORDS,
        "added = first + second",
        "added = second",
        tests=MODEL,
    ),
]

if __name__ == "__main__":
    places = Where(Path("partitioned_buffer", "testing"), "tests/shared")
    break_each(MUTANTS, CONTRACT, places, compiled=False)
