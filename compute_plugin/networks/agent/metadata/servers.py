"""Metadata in each namespace of DHCP."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from compute_plugin.networks.agent.metadata.asking import Answers
from compute_plugin.networks.agent.metadata.serving import listening, serve
from compute_plugin.networks.agent.served import Serve, Served
from compute_plugin.networks.records.records import Records


def metadata_served(nursery: trio.Nursery, records: Callable[[], Records], answers: Answers) -> Served:
    def opened(space: str, network: str) -> Serve:
        return partial(serve, listening(space), network, records, answers)

    return Served(nursery, "metadata", opened)
