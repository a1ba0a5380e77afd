"""
An index of Elasticsearch or OpenSearch, by any client with `bulk`.

    index.py     the sink, for threads and for tasks
    lines.py     what items become: actions, in lines of JSON
    clients.py   in what clients differ: how they are called, and what they raise
    answers.py   what an answer says of each action
"""
