"""
How a producer is made, or given.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import InvalidOption
from ..base import expect, imported
from .lanes import Make

_ADDRESSES = "bootstrap.servers"
_EXPECTED = (
    "addresses ('host:9092,...'), a dict of librdkafka's settings, or a confluent_kafka.Producer"
)


def maker(cluster: Any, seconds: float) -> tuple[Make, bool]:
    """Return what makes a producer for *cluster*, and whether that was given."""
    if callable(getattr(cluster, "produce", None)):
        able = all(callable(getattr(cluster, name, None)) for name in ("flush", "purge", "poll"))
        expect(able, "cluster", cluster, f"{_EXPECTED}, which can be purged (version 2)")
        return (lambda _: cluster), True
    given = {_ADDRESSES: cluster} if isinstance(cluster, str) else cluster
    expect(isinstance(given, Mapping) and any(given.values()), "cluster", cluster, _EXPECTED)
    words = "none: what a batch is, is not the transaction's to say"
    expect("transactional.id" not in given, "transactional.id", given, words)
    make = _made_by(
        imported("KafkaTopic", "kafka", "confluent_kafka"), {**_defaults(seconds), **given}
    )
    make(lambda _: None)  # it says now what is wrong with its settings
    return make, False


def _defaults(seconds: float) -> dict[str, Any]:
    return {
        "enable.idempotence": True,  # its own attempts keep the order, and repeat nothing
        "message.timeout.ms": int(2000 * seconds),  # later than the sink, which purges all at once
        "topic.metadata.propagation.max.ms": int(min(500 * seconds, 5000)),
        "log_level": 2,  # to stderr, twenty lines a second in an outage: it is said once, by us
    }


def _made_by(client: Any, settings: dict[str, Any]) -> Make:
    aliases = {"delivery.timeout.ms", "message.timeout.ms"}
    if aliases <= settings.keys():
        del settings["message.timeout.ms"]
    users: Callable[[Any], None] | None = settings.pop("error_cb", None)

    def make(hear: Callable[[Any], None]) -> Any:
        def on_error(error: Any) -> None:
            hear(error)
            if users is not None:
                users(error)

        try:
            return client.Producer({**settings, "error_cb": on_error})
        except (client.KafkaException, TypeError, ValueError) as error:
            said = error.args[0]
            text = said.str() if hasattr(said, "str") else said
            raise InvalidOption(f"cluster: expected settings for a producer: {text}") from error

    return make
