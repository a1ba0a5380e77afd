"""
A topic of Kafka, by confluent-kafka.

    topic.py      the sink
    messages.py   what items become
    producers.py  how a producer is made, or given
    lanes.py      who has which
    sending.py    messages on their way, and what is said of each
    reports.py    what that means
"""
