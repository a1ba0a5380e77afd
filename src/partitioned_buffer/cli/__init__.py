"""
The command line: what is in a durable file or on a server, and the ways out of it.

    main.py         what an error becomes; commands/: what is typed, one file each
    inspecting.py   `inspect`: shown as text (text.py) or JSON
    looking.py      what it counts; items.py: the items that it shows
    draining.py     `drain`: delivers what is held
    replaying.py    `replay`: gives back what was given up; giving.py: what that takes
    progress.py     how far they have come
    server/         `worker` and `resize`; `inspect` and `replay` of a server
    live/           `top` and `page`: of a running process
    names.py        module:name, as it is typed; codecs.py: those that a file names
"""
