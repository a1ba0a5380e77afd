"""
What a processor that takes rows to one kind of destination has to be: a sink.
"""

from typing import Protocol, TypeVar

B_contra = TypeVar("B_contra", contravariant=True)


class Sink(Protocol[B_contra]):
    """
    A processor that knows how its destination fails, and says it.

    Called with a batch, it returns when all of it is there, and raises if not: what, is the whole
    art, for the buffer decides by that what becomes of the batch.

        Outage("why") from error          nobody is there, or nobody answers in time
        RetryAfter(seconds)               it was told when to come back; everyone=True: all are
        Split()                           the batch is too large
        PartialFailure.at(                the others are there, and these
            reject={place: error},        ... will never do: the error says why, in a dead letter
            retry={place: error})         ... may come again
        what it has got                   it knows nothing: the buffer tries again, and parts

    What is wrong with its options and only found out at a call is an `InvalidOption` there, too, of
    the last kind: nothing is lost, and the log says it.

    - **It may be called by several threads at once**, one per partition, or by several tasks.
    - **Everything that it waits for has a time limit**: a thread cannot be killed.
    - **A batch may come twice**, since an answer can be lost. A destination that can tell is told
      by `batch_id()`, which is the same then, or by keys that make repeating harmless.
    - **A batch is the buffer's again once the call has returned**: a sink keeps nothing of it, nor
      the error that holds it.
    - A batch is a list of items, of a Map's entries, or, with `processing_batch_size="table"`, a
      dict of those.
    - It says at construction what is wrong with its options, and imports its client no sooner than
      that. A client that it was given is its user's to close.

    `testing.sinks.SinkContract` tests all that.
    """

    def __call__(self, batch: B_contra, /) -> object:
        """Take *batch* to the destination. A coroutine function will do, for tasks."""

    def close(self) -> object:
        """
        Let go of what was opened here, and not of what was given; twice does no harm.

        A coroutine function where the sink is one. A later call opens anew what it needs.
        """
