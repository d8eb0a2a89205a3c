"""Sub-ports of trunks. Real packets where the kernel has tags."""

from __future__ import annotations

import subprocess

from compute_plugin.networks.agent.port_states import NO_TAGS
from tests.networks_agent.cloud import Cloud, until, until_async
from tests.networks_agent.test_hostile import everything
from tests.networks_agent.test_one_host import addresses, network
from tests.networks_plan.made import id_of

ADD = ("ip", "link", "add", "link", "lo", "name", "try", "type", "vlan", "id", "5")
TAG = 7


def has_tags() -> bool:
    tried = ["unshare", "--net", *ADD]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


async def test_a_sub_port_is_on_its_own_network_or_says_why_not(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(lambda made: network(made, "red", 101))
    await cloud.change(everything)
    other = await cloud.guest(host, "other", "red", addresses(12, "red"), groups=["all"])
    sub = await cloud.change(lambda made: made.port("sub", "red", addresses(11, "red"), host=host.name, groups=["all"]))
    await cloud.change(lambda made: made.port("parent", "net", addresses(11), host=host.name, groups=["all"]))
    await cloud.change(lambda made: made.trunk("trunk", "parent", sub=TAG))
    parent = await cloud.guest(host, "parent", "net", addresses(11), groups=["all"], mac="fa:16:3e:00:0f:01")
    if not has_tags():
        await until(lambda: _problem(cloud, id_of("sub")) == NO_TAGS, cloud.said)
        assert await parent.pings("10.0.0.2"), "the parent goes on"
        return
    parent.run("ip", "link", "add", "link", "eth0", "name", "eth0.7", "type", "vlan", "id", str(TAG))
    parent.run("ip", "link", "set", "eth0.7", "address", sub.mac, "up")
    parent.run("ip", "address", "flush", "dev", "eth0")
    parent.run("ip", "address", "add", "10.0.0.11/24", "dev", "eth0.7")
    await until_async(lambda: parent.pings("10.0.0.12"), cloud.said)
    assert await other.pings("10.0.0.11")


def _problem(cloud: Cloud, port: str) -> str:
    state = cloud.states.states.ports.get(port)
    return state.problem if state is not None else ""
