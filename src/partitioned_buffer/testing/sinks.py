"""
The contract that every sink has to keep, as tests that pytest runs over yours.

    class TestMine(SinkContract):
        def make(self, tmp_path, **options):
            return MySink(tmp_path / "rows", **options)

See `contract.sinks`, and `abc.Sink` for what a sink is.
"""

from .contract.sinks import SinkContract

__all__ = ["SinkContract"]
