"""How much there is of each partition, in one round trip for each server."""

from collections.abc import Sequence

from ...abc.sharing import Depth
from .kinds import Kind
from .naming import Names
from .wire.servers import Servers


def depth(
    servers: Servers, names: Names, kind: Kind, generations: Sequence[tuple[int, int]]
) -> list[Depth]:
    """Return how it is with each partition of *generations*, each with how many it has."""
    places = [(of, each) for of, partitions in generations for each in range(partitions)]
    asked = [
        (names.of(*place).meta, command)
        for place in places
        for command in kind.questions(names.of(*place))
    ]
    replies = servers.gathered(asked)
    each = len(asked) // len(places)
    return [
        kind.depth(*place, replies[each * number : each * (number + 1)])
        for number, place in enumerate(places)
    ]
