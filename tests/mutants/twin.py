"""
Break the tables in plain Python, one place at a time, and see a test go red.

    python tests/mutants/twin.py [FIRST LETTERS OF A MUTANT'S NAME]
"""

from breaking import Mutant, break_each
from twin_maps import MUTANTS as OF_MAPS

TESTS = (
    "test_tables_room.py",
    "test_tables_lastrefs.py",
    "test_tables_walks.py",
    "test_steps.py",
    "test_interruption.py",
)
ASKING = ("test_interruption.py::test_a_step_is_made_of_what_is_there_by_then",)
NO_LOCK = 'lock = type("", (), {"take": None, "free": None})'
FREED = "_ = lock.free"

MUTANTS = [
    Mutant(
        "a push without its lock",
        "tables/queue.py",
        "lock = self._lock",
        NO_LOCK,
        within="def push(",
        tests=("test_steps.py",),
    ),
    Mutant(
        "a write that is counted after its step",
        "tables/queue.py",
        "self._accepted += size",
        "pass",
        within="def _write(",
        also=(FREED, f"{FREED}\n            self._accepted += size * (outcome == MADE)"),
        tests=("test_steps.py",),
    ),
    Mutant(
        "room that is given back after its step",
        "tables/table.py",
        "room.used -= size",
        "pass",
        within="def _change(",
        also=(FREED, f"{FREED}\n            if same and room:\n                room.used -= size"),
        tests=("test_steps.py",),
    ),
    Mutant(
        "what a change replaces and dies in the step",
        "tables/table.py",
        "state.copy(), items",
        "None, items",
        within="def _change(",
        tests=("test_tables_lastrefs.py",),
    ),
    Mutant(
        "a change of what has changed since",
        "tables/table.py",
        "turn == self._turn and",
        "",
        within="def _change(",
        tests=(
            "test_interruption.py::test_no_signal_parts_a_step[python-Map: take-writing]",
            "test_interruption.py::test_no_signal_parts_a_step[python-Map: acknowledge-writing]",
        ),
    ),
    Mutant(
        "a change of what was written to since",
        "tables/table.py",
        "or written == self._accepted",
        "or True",
        within="def _change(",
        tests=ASKING,
    ),
    Mutant(
        "a change that nobody can see",
        "tables/table.py",
        "turn + bool(changes)",
        "turn",
        within="def _change(",
        tests=ASKING,
    ),
    Mutant(
        "a closed table that takes an item",
        "tables/queue.py",
        "if self.closed:",
        "if False:",
        within="def push(",
    ),
    Mutant(
        "a bound off by one",
        "tables/queue.py",
        "room.used + size > room.limit",
        "room.used + size > room.limit + 1",
    ),
    Mutant(
        "a line that is not looked at",
        "tables/queue.py",
        "(room.line and size and not first)",
        "False",
    ),
    Mutant(
        "what is dropped keeps its room",
        "tables/queue.py",
        "(1, weight)",
        "(0, weight)",
        within="def drop_oldest(",
    ),
    Mutant("many that weigh nothing", "tables/queue.py", "sum(weights)", "0"),
    Mutant(
        "what is delivered keeps its room",
        "tables/queue.py",
        "gone = settled,",
        "gone = 0,",
        within="def _settle(",
    ),
    Mutant(
        "what is delivered by a take keeps its room",
        "tables/queue.py",
        "(settled, self._weigh(",
        "(0, self._weigh(",
        within="def take(",
    ),
    Mutant(
        "a take that acknowledges nothing",
        "tables/queue.py",
        "self.delivered + settled",
        "self.delivered",
        within="def take(",
    ),
    Mutant(
        "what is reached is cut off by one",
        "tables/queue.py",
        "self._emptied(len(items))",
        "self._emptied(len(items) + 1)",
        within="def reach(",
    ),
    Mutant(
        "those are buried that are not named",
        "tables/table.py",
        "if place in chosen",
        "if place not in chosen",
        within="def _given(",
    ),
    Mutant(
        "places that are named count from one",
        "tables/table.py",
        "enumerate(self._out)",
        "enumerate(self._out, 1)",
        within="def _given(",
    ),
    Mutant(
        "places that are settled count from one",
        "tables/queue.py",
        "enumerate(batch)",
        "enumerate(batch, 1)",
        within="def _settle(",
    ),
    Mutant(
        "what is to be kept is delivered",
        "tables/table.py",
        "if each not in kept",
        "if each in kept",
        within="def keep(",
    ),
    Mutant(
        "a swap over what is left",
        "tables/queue.py",
        "swapped = self._line < len(self._flying)",
        "swapped = False",
        within="def swap(",
    ),
    Mutant(
        "what is released goes last",
        "tables/queue.py",
        "self._hand[self._at :] + self._flying[self._line :]",
        "self._flying[self._line :] + self._hand[self._at :]",
        within="def release(",
    ),
    Mutant(
        "a bell that is not hung up again",
        "tables/queue.py",
        'changes | {"_bell": bell}',
        "changes",
        within="def swap(",
        tests=("test_tables_bell.py",),
    ),
    Mutant(
        "a bell that rings again and again",
        "tables/table.py",
        "self._bell = None",
        "pass",
        within="def _look(",
    ),
    Mutant(
        "a bell that is missed",
        "tables/table.py",
        "len(self._waiting) >= bell",
        "len(self._waiting) > bell",
    ),
    Mutant(
        "a bell that is lost when nobody could be woken",
        "tables/table.py",
        "self._bell = bell",
        "pass",
        within="except BaseException:",
        tests=("test_tables_bell.py",),
    ),
    Mutant("a line that is not served", "tables/table.py", "room.serve()", "pass"),
    Mutant(
        "a refused write that is counted",
        "tables/table.py",
        "while not self.closed:",
        "while True:",
        within="def drop(",
    ),
    Mutant(
        "what fits is what is free",
        "tables/room.py",
        "return size <= self.limit",
        "return self.used + size <= self.limit",
        within="def fits(",
    ),
    Mutant(
        "a key's own comparison is not asked",
        "tables/keys.py",
        "if other is key or other == key:",
        "if other is key:",
    ),
    Mutant(
        "every tuple is stored as it is",
        "tables/keys.py",
        "all(map(safe, key))",
        "True",
        tests=("test_keys.py",),
    ),
    Mutant(
        "a turn that never passes",
        "tables/writers.py",
        "self._turn = table.next",
        "pass",
        within="class QueueWriter(",
        tests=("test_queue.py",),
    ),
    Mutant(
        "an item that weighs nothing",
        "tables/writers.py",
        "0 if self._weigh is None else self._weigh(item)",
        "0",
        within="class QueueWriter(",
        tests=("test_bounds.py",),
    ),
    Mutant(
        "a refused item that nobody hears of",
        "tables/writers.py",
        'self._late(table, outcome, "push", (item, weight))',
        "pass",
        within="class QueueWriter(",
        tests=("test_bounds.py",),
    ),
    Mutant(
        "a version that is anything",
        "tables/writers.py",
        "version = check_version(version)",
        "pass",
        tests=("test_map_versions.py", "test_messages.py"),
    ),
    *OF_MAPS,
]

if __name__ == "__main__":
    break_each(MUTANTS, TESTS, compiled=False)
