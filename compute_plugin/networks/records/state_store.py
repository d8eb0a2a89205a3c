"""`StateStore`: what agents of networks say, in memory, a moment behind the registry."""

from __future__ import annotations

from compute_plugin.networks.records.states import States
from compute_plugin.tables import state_store
from store.registry import Registry


class StateStore(state_store.StateStore[States]):
    """See there."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, States)
