"""
Rows of a table of PostgreSQL.

    table.py           the sink, for threads and for tasks: its options
    work.py            what becomes of a batch, by steps that do no I/O
    commands.py        what those ask of a connection, and how it is done
    fitting.py         which rows go by COPY
    text.py            statements
    faults.py          what an error means, by its SQLSTATE
    lending.py         where connections come from; async_lending.py: for tasks
    alarm.py           hanging up on a server that says nothing
    driving.py         all that is imported, with psycopg, when a sink is made
"""
