"""Scenes of processes that share two Maps: see `scenes`, and `map_sharers` for what they do."""

from typing import Any

import map_histories
import map_sharers
from histories import History
from scenes import PATIENCE, Scene

from partitioned_buffer import Map, Stats
from partitioned_buffer.testing import assert_balanced


class MapScene(Scene):
    """Of both."""

    program = map_sharers.__file__
    stats: list[Stats]
    """Of both at the end."""

    def flush(self) -> None:
        maps = map_sharers.Maps(self._told._replace(ack="local"), Map)
        self.stats = []
        for each in maps.both:
            with each:
                each.flush(timeout=PATIENCE)
                # Numbers are as they were a second ago: those of another flush are of now.
                each.flush(timeout=PATIENCE)
                self.stats.append(each.stats())

    def check(self, history: History, **options: Any) -> None:
        """See `map_histories.check`; and the ledger of the server."""
        mine: dict[str, Any] = {"killed": self.killed, "asleep": self.asleep}
        map_histories.check(history, window=self._told.window, **mine, **options)
        for stats in self.stats:
            assert_balanced(stats)
            assert (stats.held, stats.dead_lettered, stats.dropped) == (0, 0, 0)
        self._check_numbers(history, exactly=not (self.killed or self.asleep or options))

    def _check_numbers(self, history: History, *, exactly: bool) -> None:
        """The server has counted each write once, and no more as delivered than were."""
        newest, sums = self.stats
        put = sum(1 for _ in map_histories.versions(history.pushed)) + self.numbers("own")
        assert newest.accepted == put
        assert sums.accepted == sum(map_histories.sums(history.pushed).values())
        assert sums.deleted == 0
        calls = [call for call in history.calls if call.ended is not None]
        of_sums = [c for c in calls if any(i.producer == map_histories.SUMS for i in c.items)]
        given = sum(len(call.items) for call in of_sums)
        assert sums.delivered <= given
        if exactly:
            assert sums.delivered == given
        rest = sum(len(call.items) for call in calls) - given
        assert newest.delivered <= rest  # what was with a processor when it was deleted is more

    def figures(self) -> list[dict[str, int]]:
        """Return what is worth knowing for the report of the tests."""
        names = ("accepted", "delivered", "coalesced", "deleted")
        return [{name: getattr(each, name) for name in names} for each in self.stats]
