"""
What gives a buffer to the libraries that a program writes by: `logging`, and `structlog`.

    logging.py      BufferHandler: the records of `logging`
    structlog.py    BufferProcessor: the events of structlog
    intake.py       what both have: the Queue, and what goes past it
    records.py      a record that another thread may read, later

Each is imported by its own name.
"""
