"""Many signals at once."""

from collections.abc import Sequence
from typing import Any


def set_all(signals: Sequence[Any]) -> None:
    """Raise *signals*: those of one event loop together, for each way in to it takes long."""
    by_home: dict[Any, list[Any]] = {}
    for signal in signals:
        if (home := getattr(signal, "home", None)) is None:
            signal.set()
        else:
            by_home.setdefault(home, []).append(signal)
    for together in by_home.values():
        together[0].set_all(together)
