"""
What a write comes to, and the rules of the step that it is.

Between `# zone` and `# end` a function holds the table's lock and neither calls, nor jumps
back, nor makes a container. CPython runs signal handlers, finalizers and other threads only
after a call, at a backward jump or at a function's start; Python 3.11 also collects garbage
where a container is made. So nothing parts a zone: a write that comes in the middle of
another, on the same thread, sees whole states, and an exception leaves all of a step or
nothing of it. A test reads the bytecode.

  - What takes loops, calls or containers is done before, and the zone asks whether it still
    goes: if not, `AGAIN`.
  - What a zone replaces or removes is held by a local name as well, and dies when the lock is
    free: its finalizer may do whatever it likes.
  - The lock is needed all the same: a tracer in Python runs between any two lines, and without
    the GIL so do other threads. It is re-entrant, for who comes in the middle of its calls.
  - `with` costs more than all the rest of a push. So the shortest steps take the lock by hand,
    *inside* of the `try`: an exception from there means that the lock is had, or that the
    wait for it was interrupted, and then this thread holds it at no depth, and giving it back is
    the `RuntimeError` that says so.
"""

from typing import Final

MADE: Final = 0
"""The write is accepted; or dropped, and counted, where `when_full` says so."""
FULL: Final = 1
"""There is no room: nothing happened."""
CLOSED: Final = 2
"""The table takes no writes: nothing happened."""
AGAIN: Final = 3
"""Something has changed since the step was prepared. Never returned to a caller."""
