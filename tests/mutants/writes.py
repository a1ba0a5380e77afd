"""
Break the writes on top of the tables, one place at a time, and see a test go red.

    python tests/mutants/writes.py [FIRST LETTERS OF A MUTANT'S NAME]
"""

from breaking import Mutant, break_each

BOUNDS, LINE = ("test_bounds.py",), ("test_blocking.py", "test_writes.py")

MUTANTS = [
    Mutant(
        "a line that goes on without the next",
        "writes/line.py",
        "first.signal.set()",
        "pass",
        within="def _pass_on(",
        tests=LINE,
    ),
    Mutant(
        "a crowd that is let in one by one",
        "writes/line.py",
        "return max(1, min(chances))",
        "return 1",
        tests=("../tasks/test_async_writes.py",),
    ),
    Mutant(
        "a line that has no end",
        "writes/line.py",
        "while (room.line, room.line_bytes) != (",
        "while (room.line, room.line_bytes) < (",
        tests=LINE,
    ),
    Mutant(
        "whoever is woken goes first",
        "writes/line.py",
        "self._first() is waiter or",
        "True or",
        within="def stand(",
        tests=LINE,
    ),
    Mutant(
        "who waits for room has nothing delivered",
        "writes/line.py",
        "face._wake_workers()",
        "pass",
        within="def stand(",
        tests=LINE,
    ),
    Mutant(
        "who waits in line is not counted",
        "writes/line.py",
        "self._tell()",
        "pass",
        within="def stand(",
        tests=LINE,
    ),
    Mutant(
        "a wait without a deadline",
        "writes/line.py",
        "if remaining is not None and remaining <= 0:",
        "if False:",
        tests=LINE,
    ),
    Mutant(
        "a worker that waits for itself",
        "writes/admission.py",
        "face._is_own_worker() or",
        "False or",
        tests=LINE,
    ),
    Mutant(
        "a handler that waits for what it interrupts",
        "writes/admission.py",
        "line.holds_me() or",
        "False or",
        tests=("../races/test_reentrancy.py",),
    ),
    Mutant(
        "what can never fit waits for room",
        "writes/admission.py",
        "hopeless := not self.fits(load)",
        "hopeless := False",
        tests=LINE,
    ),
    Mutant(
        "slots that are no prime number",
        "../abc/dealing.py",
        "_next_prime(len(partitions) * _SLOTS_PER_PARTITION)",
        "len(partitions) * _SLOTS_PER_PARTITION",
        tests=("test_routing.py",),
    ),
    Mutant(
        "many that always go to one partition",
        "writes/routing.py",
        "self._place = (place + 1)",
        "self._place = (place + 0)",
        tests=("test_queue.py",),
    ),
    Mutant(
        "many that are written without their weights",
        "writes/queue.py",
        "[load for _, load in ops]",
        "[0 for _ in ops]",
        tests=BOUNDS,
    ),
    Mutant(
        "many that need no room for their weights",
        "writes/queue.py",
        "sum(load for _, load in ops) if self.weighed else 0",
        "0",
        within="def needs(",
        tests=LINE,
    ),
    Mutant(
        "entries that were refused count as made",
        "writes/together.py",
        "end if outcome == MADE else self.done",
        "end",
        tests=BOUNDS,
    ),
    Mutant(
        "many that are not merged",
        "writes/map.py",
        "ops, self._atomic)",
        "ops, True)",
        tests=("test_map_failures.py",),
    ),
    Mutant(
        "many that go in by halves where they fit whole or not at all",
        "writes/together.py",
        "if room is not None and not room.has(*_needs(left), first):",
        "if False:",
        tests=(*BOUNDS, "test_writes.py"),
    ),
    Mutant(
        "a part that does not fit",
        "writes/together.py",
        "end, step = piece.done + 1, 1",
        "end, step = piece.size, 1",
        tests=LINE,
    ),
    Mutant(
        "nobody is told how much went in",
        "writes/together.py",
        "if done and isinstance(error, PartitionedBufferError):",
        "if False:",
        tests=LINE,
    ),
    Mutant(
        "a size below nothing",
        "writes/admission.py",
        "or weight < 0",
        "or False",
        tests=BOUNDS,
    ),
    Mutant(
        "text that weighs as much as it has letters",
        "writes/admission.py",
        'len(item.encode(errors="surrogatepass"))',
        "len(item)",
        tests=BOUNDS,
    ),
    Mutant(
        "a mapping that is pushed by its keys",
        "writes/queue.py",
        "if isinstance(items, Mapping):",
        "if False:",
        tests=("test_messages.py", "test_queue.py"),
    ),
    Mutant(
        "a frame that is pushed by its columns",
        "writes/queue.py",
        "if _is_frame(items):",
        "if False:",
        tests=("test_messages.py", "test_queue.py"),
    ),
    Mutant(
        "what waits over what flies is shown twice",
        "writes/map.py",
        "dict.fromkeys(entry.key for entry in table.held())",
        "[entry.key for entry in table.held()]",
        tests=("test_surface.py",),
    ),
    Mutant(
        "what is deleted in hand is shown",
        "writes/map.py",
        "if value is not MISSING",
        "if True",
        within="def held(",
        tests=("test_surface.py",),
    ),
]

if __name__ == "__main__":
    break_each(MUTANTS, (), compiled=False)
