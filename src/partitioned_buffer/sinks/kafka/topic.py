"""
Messages of a topic of Kafka.
"""

from typing import Any, TypeVar

from ...errors import Outage, PartialFailure
from ..base import Closing, expect, expect_seconds
from .lanes import Lane, Lanes
from .messages import Made, Messages, Of
from .producers import maker
from .reports import PURGED, late, outage_of
from .sending import Sending

E = TypeVar("E", bound=BaseException)


class KafkaTopic(Closing):
    """
    Produces messages to a topic, and waits until brokers have acknowledged them.

    *cluster*: the addresses of brokers, a dict of settings for librdkafka, or a producer of
    confluent-kafka. Its own producers are idempotent, and each partition of a buffer has one. One
    that is given should be idempotent, and nobody else's: it is purged when the time is over; calls
    have it in turn.

    *value*, *key*, *headers*: functions of an item, or of a Map's entry. Bytes are sent as they
    are, text as UTF-8, None as none, anything else as JSON; unless given, the value is the item, or
    the entry's value, and the key none, or the entry's key. Headers are a dict or pairs. They are
    called by the processor, so `batch_id()` may be asked for.

    *timeout*: how many seconds a batch may take. What is not acknowledged by then is purged, so
    that it does not arrive later unasked, and tried again. A message that was on its way then may
    be there already, and come again: Kafka cannot be asked. Until then librdkafka tries by itself,
    which repeats nothing.

    Messages with one key arrive in the order in which one partition of the buffer has them. A
    message that is too large, or that brokers refuse, is rejected. All else, a topic that is
    missing or forbidden among them, is an outage. Raises `InvalidOption`.
    """

    def __init__(
        self,
        topic: str,
        cluster: Any,
        *,
        value: Of | None = None,
        key: Of | None = None,
        headers: Of | None = None,
        timeout: float = 30.0,
    ) -> None:
        _expect_topic(topic)
        expect_seconds("timeout", timeout)
        self._topic, self._timeout = topic, timeout
        self._messages = Messages(value, key, headers)
        make, is_given = maker(cluster, timeout)
        self._lanes = Lanes(make, is_given=is_given)

    def __repr__(self) -> str:
        return f"KafkaTopic({self._topic!r})"

    def __call__(self, batch: Any, /) -> None:
        """Produce the messages of *batch*. Raises `Outage`, and `PartialFailure` for some."""
        made = self._messages(batch)
        rejected = dict(made.refused)
        failed: dict[int, Outage] = {}
        if made.messages:
            lane = self._lanes.mine()
            sending = lane.send(self._topic, made.messages, self._timeout)
            rejected |= _at_places(made, sending.rejected)
            failed = _at_places(made, self._outages(lane, sending))
        if len(failed) == len(batch) > 0:
            raise next(iter(failed.values()))
        if failed or rejected:
            raise PartialFailure.at(
                retry=dict(sorted(failed.items())), reject=dict(sorted(rejected.items()))
            )

    def _outages(self, lane: Lane, sending: Sending) -> dict[int, Outage]:
        """Return why messages are to be tried again, by their number: one error for all alike."""
        outages: dict[str, Outage] = {}
        failed: dict[int, Outage] = {}
        blocked = next((error for error in sending.failed.values() if error), None)
        for number, error in sending.failed.items():
            said = error or blocked  # what was not sent was behind that
            name = "" if said is None or said.name() in PURGED else said.name()
            if name not in outages:
                outages[name] = (
                    outage_of(self._topic, said)
                    if name
                    else late(self._topic, self._timeout, sending.broken or lane.trouble)
                )
            failed[number] = outages[name]
        return failed

    def close(self) -> None:
        """Let go of the producers, unless one was given."""
        self._lanes.close()


def _at_places(made: Made, said: dict[int, E]) -> dict[int, E]:
    return {made.places[number]: error for number, error in said.items()}


def _expect_topic(topic: Any) -> None:
    expect(isinstance(topic, str) and topic, "topic", topic, "the name of a topic")
