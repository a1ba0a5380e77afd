"""
A buffer on Redis or Valkey, opened: what `SharedStore` says, by those who do it.
"""

import secrets
from collections.abc import Callable, Sequence

from ...abc import Codec
from ...abc.sharing import Depth, Found, Layout, Parcel, Read, SharedTerms, Swap, Want
from ...errors import StorageError
from .appending import Appender
from .claims import Claims
from .depths import depth
from .kinds import kind_of
from .layouts import Layouts
from .letters import Letters
from .naming import HURRY, Names, plain
from .news import News
from .opening import check, pin, try_out
from .wire.servers import Servers


class RedisStore:
    """A `SharedStore`: a buffer on a server, or on a cluster."""

    def __init__(  # noqa: PLR0913  # options, by name
        self,
        url: str,
        terms: SharedTerms,
        *,
        codec: Codec,
        lease: float,
        limit: int | None = None,
        replicated: bool = False,
    ) -> None:
        self.codec, self.lease = codec, lease
        self.me = f"{plain(terms.producer)}:{secrets.token_hex(4)}"
        self._names, self._news = Names(terms.name), list[News]()
        self._servers = servers = Servers(url)
        self.where = servers.where
        try:
            self.warnings: Sequence[str] = check(servers)
            self._kind = kind_of(terms.kind, terms.remember)
            try_out(servers, self._names, self._kind)
            have = pin(servers, self._names, terms, self.codec.name)
            self._layouts = Layouts(servers, self._names, self._kind, have)
        except BaseException:
            servers.connections.close()
            raise
        self.identity = have["id"]
        self._assemble(limit, replicated=replicated)

    def _assemble(self, limit: int | None, *, replicated: bool) -> None:
        servers, names, layouts, kind = self._servers, self._names, self._layouts, self._kind
        self._appender = Appender(servers, names, layouts, kind, limit=limit, replicated=replicated)
        claims = Claims(servers, names, layouts, kind, me=self.me, lease=self.lease)
        letters = Letters(servers, names, layouts, claims)
        self.layout: Layout = layouts.layout
        self.duty: Layout = layouts.duty
        self.beat, self.claim, self.release = claims.beat, claims.claim, claims.release
        self.bury, self.dead, self.forget_dead = letters.bury, letters.read, letters.forget
        self.last_dead = letters.last
        self._claims = claims

    def refresh(self) -> bool:
        """Look for another layout, or duty; return whether there is one."""
        changed = self._layouts.refresh()
        self.layout, self.duty = self._layouts.layout, self._layouts.duty
        return changed

    def resize(self, partitions: int) -> None:
        """Have *partitions* from now on, also here: from the next `refresh` on."""
        self._layouts.begin(partitions)

    def append(
        self, lane: int, producer: str, parcels: Sequence[Parcel], /
    ) -> Sequence[StorageError | None]:
        """Append each of *parcels* once; return what became of each."""
        del lane  # each server has connections of its own
        return self._appender.append(producer, parcels)

    def retire(self, producer: str, /) -> None:
        """Forget a *producer* that sends nothing any more."""
        self._appender.forget(producer)
        keys = [
            self._names.of(layout.generation, each).d_of(producer)
            for layout in {self.duty, self.layout}
            for each in range(layout.partitions)
        ]
        for reply in self._servers.spread("rest", [(key, ("DEL", key)) for key in keys]):
            if isinstance(reply, StorageError):
                raise reply

    def step(self, lane: int, wants: Sequence[Want], /) -> Sequence[Read | Swap | StorageError]:
        """For each claim: stay its owner, forget what is settled, and read on."""
        del lane
        return self._claims.step(wants)

    def get(self, partition: int, key: bytes, producer: str, /) -> Found:
        """Return what the Map has of *key*."""
        of = self._names.of(self.layout.generation, partition)
        kind = self._kind
        return kind.found(self._servers.call("get", of.w, kind.get(of, key, producer)))

    def depth(self) -> Sequence[Depth]:
        """Return how it is with each partition."""
        return depth(self._servers, self._names, self._kind, self._layouts.generations)

    def listen(self, heard: Callable[[int], object], /) -> Callable[[], None]:
        """Have *heard* called with what is new; return what ends that."""
        news = News(self._servers, self._names, heard)
        self._news.append(news)
        return news.end

    def hurry(self) -> None:
        """Have all workers hear that somebody waits for a flush."""
        self._servers.call("rest", self._names.config, ("PUBLISH", self._names.news, HURRY))

    def close(self) -> None:
        """Let go of it; calls in other threads end soon."""
        if self._servers.connections.is_another_process:
            return
        for news in self._news:
            news.end()
        self._servers.connections.close()
