"""What an agent tells people of its host: what was dropped, and rules of others that stand in the way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import trio

from compute_plugin.networks.agent import drops as dropping
from compute_plugin.networks.agent import requirements
from compute_plugin.networks.agent.drops import Drop, told
from compute_plugin.networks.agent.other_rules import words
from store.core.errors import BusyError
from tests.networks_agent.cloud import Cloud, until
from tests.networks_agent.test_hostile import everything
from tests.networks_agent.test_one_host import addresses, network

DOCKER = (
    "add table ip filter; "
    "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }; "
    "add chain ip filter INPUT { type filter hook input priority 0; policy drop; }"
)
SAID = words("ip", "filter", "FORWARD")


async def test_drops_are_told_by_reasons(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(everything)
    guest = await cloud.guest(host, "one", "net", addresses(11), groups=["all"])
    assert await guest.pings("10.0.0.2")
    guest.address("10.0.0.99/24")
    await guest.loses("10.0.0.2")
    guest.run("sh", "-c", "ping -c 1 -W 1 -I 10.0.0.99 10.0.0.2 || true")
    found = {one.reason: one.packets for one in told(json.loads(host.run("nft", "-j", "list", "counters")))}
    assert found["spoofed_address"] + found["spoofed_arp"] > 0
    assert found["limited"] == 0


def test_counters_of_others_are_not_told() -> None:
    def counter(table: str, name: str) -> dict[str, object]:
        return {"counter": {"table": table, "family": "inet", "name": name, "packets": 2, "bytes": 9}}

    listed = {"nftables": [{"metainfo": {}}, counter("drystone", "a"), counter("x", "b"), counter("drystone", "a")]}
    assert told(listed) == [Drop("a", 4, 18)]


async def test_an_agent_says_whose_rules_drop_what_servers_send(cloud: Cloud) -> None:
    host = await cloud.host()
    await until(lambda: cloud.states.states.agents.get(host.name) is not None, cloud.said)
    assert cloud.states.states.agents.require(host.name).warnings == ()
    host.run("nft", DOCKER)
    host.agent.kill()
    await host.start()
    await until(lambda: cloud.states.states.agents.require(host.name).warnings == (SAID,), cloud.said)
    assert cloud.states.states.agents.require(host.name).problems == ()
    host.run("nft", 'add rule ip filter FORWARD iifname "dsb-*" oifname "dsb-*" accept')
    host.agent.kill()
    await host.start()
    await until(lambda: cloud.states.states.agents.require(host.name).warnings == (), cloud.said)


def test_who_cannot_be_asked_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BusyError, match="nft"):
        trio.run(dropping.drops)


async def test_a_module_that_is_missing_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program, asked = tmp_path / "modprobe", tmp_path / "asked"
    program.write_text(f'#!/bin/sh\necho "$@" > {asked}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "_has_bridge_netfilter", lambda: True)
    await requirements.load_modules()
    assert not asked.exists()
    monkeypatch.setattr(requirements, "_has_bridge_netfilter", lambda: False)
    await requirements.load_modules()
    assert asked.read_text() == "br_netfilter\n"
