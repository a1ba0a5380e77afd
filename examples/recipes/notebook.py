"""
A notebook, whose cells are run again and again: a cell ends what it has made before.

Each `# %%` begins a cell.
"""

# %% Imports, and where things go
from contextlib import suppress

import partitioned_buffer
from partitioned_buffer import BufferNotFound, Queue

stored: list[str] = []


# %% The buffer: run this again after a change
def store(batch: list[str]) -> None:
    """Change this, and run the cell again."""
    stored.extend(batch)


with suppress(BufferNotFound):
    partitioned_buffer.get("notes", Queue).stop()  # delivers by the function of before
notes: Queue[str] = Queue("notes", store, partitions=1).start()

# %% Work
for number in range(3):
    notes.push(f"note {number}")

# %% Look
notes.flush(timeout=10)
print(f"{len(stored)} stored, {notes.stats().held} held")
