"""
What is typed, one file per command: its options, its help and an example.

Nothing here imports what does it (`command.py` says what that is): so help, and a mistake in what
was typed, are there at once. `values.py` is what several take.
"""
