"""What a host that is gone was doing is done by another."""

from __future__ import annotations

from dataclasses import replace

from compute_plugin.agent.hands import Hands
from compute_plugin.lifecycle.changes import LostError, failed
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.scheduling.choice import NoHostError
from compute_plugin.scheduling.requests import place


async def take_over(hands: Hands, server: Server) -> Server:
    """The server whose transition is this host's from now on. One that is being built is on the host that the scheduler
    chooses for it, or in error where there is none. Raises LostError where it is not this host's in the end."""
    assert server.transition is not None
    transition = server.transition

    def step(records: Records) -> Server:
        now = records.servers.get(server.id)
        if now is None or now.transition is None or now.transition.id != transition.id:
            raise LostError(f"server {server.id}: something else is done with it")
        if now.transition.host != transition.host:
            raise LostError(f"server {server.id}: {now.transition.host} goes on with it")
        host = hands.host
        if transition.what == "build":
            try:
                host = place(
                    records, hands.states(), hands.settings, replace(now, host=""), host=now.wanted_host,
                    others_than=frozenset({transition.host}),
                ).name  # fmt: skip
            except NoHostError as error:
                return failed(records, replace(now, host=""), hands.clock.wall_us(), str(error))
            now = replace(now, host=host)
        after = replace(now, transition=transition._replace(host=host))
        records.servers.put(after)
        return after

    after = await hands.store.change(step)
    if after.transition is None or after.transition.host != hands.host:
        raise LostError(f"server {server.id}: it is {after.host or 'no host'}'s now")
    return after
