"""
Requests to an endpoint over HTTP.

    endpoint.py        the sink, for threads and for tasks: its options
    asking.py          what is sent, and what becomes of a batch, by steps that do no I/O
    answers.py         what an answer means
    clients.py         how a client of the user's, or urllib3, is asked; async_clients.py: for tasks
"""
