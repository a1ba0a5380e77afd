"""
The command line for buffers on a server, while their programs run.

    places.py       PATH or URL, as it is typed
    working.py      `worker`: delivers, until it is told to end
    signals.py      which tells it so; telling.py: what it tells
    inspecting.py   `inspect`, as text; reporting.py: what there is to show;
                    entries.py: of a Map
    replaying.py    `replay`: gives back what was given up
    resizing.py     `resize`: another number of partitions
"""
