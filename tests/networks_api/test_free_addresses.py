"""Addresses and prefixes that nobody has: what is found is free, and what is free is found."""

from __future__ import annotations

import ipaddress
import time
from itertools import count
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from compute_plugin.networks.addresses.free import free_address
from compute_plugin.networks.addresses.pools import can_be_had, default_pools
from compute_plugin.networks.addresses.prefixes import compact, free_prefix, has_all, left_of, overlap
from compute_plugin.networks.addresses.spans import Span, joined, span_of_pool, without
from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import Network, Pool, Subnet
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.states import States
from compute_plugin.networks.settings import Settings
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.policy.table import network_policy
from compute_plugin.networks.v2.ports.port_macs import free_mac
from compute_plugin.networks.v2.ports.port_making import Wish, make_port, remove_port, set_addresses

POLICY = network_policy()


def numbers(spans: list[Span]) -> set[int]:
    """All of them, one by one."""
    return {number for one in spans for number in range(one.first, one.last + 1)}


spans = st.lists(st.builds(lambda first, more: Span(4, first, first + more), st.integers(0, 40), st.integers(0, 9)))
prefixes = st.lists(
    st.builds(
        lambda number, bits: str(ipaddress.ip_network((0x0A000000 + number, bits), strict=False)),
        st.integers(0, 255),
        st.integers(25, 31),
    ),
    max_size=6,
)


@given(spans, spans)
def test_spans_are_sets_of_numbers(some: list[Span], others: list[Span]) -> None:
    assert numbers(joined(some)) == numbers(some)
    assert numbers(without(some, others)) == numbers(some) - numbers(others)
    assert without(some, others) == joined(without(some, others))


@given(st.sets(st.integers(4, 30)), st.integers(0, 1000))
def test_a_free_address_is_found_where_there_is_one(used: set[int], start: int) -> None:
    pools = [Pool("10.0.0.9", "10.0.0.12"), Pool("10.0.0.4", "10.0.0.4"), Pool("10.0.0.20", "10.0.0.22")]
    every = {4, 9, 10, 11, 12, 20, 21, 22}
    held = {f"10.0.0.{one}" for one in used}
    found = free_address(pools, held.__contains__, start)
    if every <= used:
        assert found is None
    else:
        assert found in {f"10.0.0.{one}" for one in every - used}


def test_the_search_begins_where_it_is_told_and_goes_round() -> None:
    pools = [Pool("10.0.0.4", "10.0.0.5"), Pool("10.0.0.9", "10.0.0.9")]
    found = [free_address(pools, lambda _: False, start) for start in range(5)]
    assert found == ["10.0.0.4", "10.0.0.5", "10.0.0.9", "10.0.0.4", "10.0.0.5"]
    assert free_address(pools, {"10.0.0.9"}.__contains__, 2) == "10.0.0.4"


def test_huge_pools_are_not_looked_through() -> None:
    for cidr in ("10.0.0.0/8", "fd00::/64"):
        began = time.process_time()
        used = set[str]()
        for number in range(2000):
            found = free_address(default_pools(cidr, None), used.__contains__, number * 7919)
            assert found is not None
            used.add(found)
        assert time.process_time() - began < 1
        assert len(used) == 2000


@given(prefixes, prefixes, st.integers(24, 32))
def test_prefixes_are_cut_where_there_is_room(have: list[str], taken: list[str], bits: int) -> None:
    found = free_prefix(have, taken, bits)
    candidates = [
        one for cidr in have if ipaddress.ip_network(cidr).prefixlen <= bits
        for one in map(str, ipaddress.ip_network(cidr).subnets(new_prefix=bits)) if not overlap(taken, [one])
    ]  # fmt: skip
    if found is None:
        assert not candidates
    else:
        assert has_all(have, [found])
        assert not overlap(taken, [found])
        assert ipaddress.ip_network(found).prefixlen == bits
    assert has_all(compact(have), have)
    assert not overlap(left_of(have, taken, 1000), taken)


def test_small_prefixes_have_what_they_have() -> None:
    assert default_pools("10.0.0.0/32", None) == (Pool("10.0.0.0", "10.0.0.0"),)
    assert default_pools("10.0.0.0/31", None) == (Pool("10.0.0.0", "10.0.0.1"),)
    assert default_pools("10.0.0.0/30", "10.0.0.1") == (Pool("10.0.0.2", "10.0.0.2"),)
    assert default_pools("fd00::/128", None) == (Pool("fd00::", "fd00::"),)
    assert not can_be_had("10.0.0.0/30", "10.0.0.3")
    assert can_be_had("fd00::/64", "fd00::ffff:ffff:ffff:ffff")
    assert not can_be_had("fd00::/64", "fd00::")
    assert can_be_had("fd00::/64", "fd00::", by_router=True)


def world() -> tuple[Change, Network, list[Subnet]]:
    """A network with two small subnets of IPv4 and one of IPv6."""
    ids = count(0x6B5AE1FF5AB94E1A9F1C000000000000, 0x100000001000001)
    change = Change(
        Records(), States(), Settings(), POLICY, {"project_id": "blue", "roles": ("admin",)},
        new_id=lambda: str(UUID(int=next(ids))),
    )  # fmt: skip
    network = change.put(
        change.records.networks, Network(id="n", project_id="blue", mtu=1450, network_type="vxlan", segmentation_id=1)
    )
    subnets = [
        Subnet(
            id=cidr, project_id="blue", network_id="n", ip_version=version, cidr=cidr, gateway_ip=None, pools=(pool,)
        )
        for cidr, version, pool in (
            ("10.0.0.0/24", 4, Pool("10.0.0.10", "10.0.0.13")),
            ("10.0.1.0/24", 4, Pool("10.0.1.10", "10.0.1.11")),
            ("fd00::/64", 6, Pool("fd00::a", "fd00::c")),
        )
    ]  # fmt: skip
    for one in subnets:
        change.put(change.records.subnets, one)
    return change, network, subnets


def test_a_mac_that_is_taken_is_not_made_again() -> None:
    change, network, _ = world()
    tails = iter(["000001", "000001", "000002"])
    change.new_id = lambda: f"6b5ae1ff-5ab9-4e1a-9f1c-000000{next(tails)}"
    first = free_mac(change, network.id)
    change.put(change.records.ports, Port(id="p", project_id="blue", network_id=network.id, mac=first))
    assert (first, free_mac(change, network.id)) == ("fa:16:3e:00:00:01", "fa:16:3e:00:00:02")


wishes = st.one_of(
    st.none(),
    st.lists(
        st.builds(
            Wish,
            st.one_of(st.none(), st.sampled_from(["10.0.0.0/24", "10.0.1.0/24", "fd00::/64"])),
            st.one_of(st.none(), st.sampled_from(["10.0.0.10", "10.0.0.11", "10.0.0.99", "10.0.1.10", "fd00::b"])),
        ).filter(lambda wish: wish.subnet_id is not None or wish.address is not None),
        max_size=3,
        unique=True,
    ),
)
steps = st.lists(st.tuples(st.sampled_from(["make", "make", "set", "remove"]), st.integers(0, 9), wishes), max_size=25)


@given(steps)
def test_no_address_is_given_twice_and_all_come_back(steps: list[tuple[str, int, list[Wish] | None]]) -> None:
    change, network, subnets = world()
    ports: list[Port] = []
    for what, which, wish in steps:
        addresses = [one.address for one in wish or () if one.address]
        if len(addresses) != len(set(addresses)):
            continue  # a client is refused before it comes to this
        try:
            if what == "make":
                ports.append(make_port(change, network, "blue", owner="", device="", wishes=wish))
            elif ports and what == "set":
                at = which % len(ports)
                before = ports[at]
                ports[at] = set_addresses(change, before, wish or ())
                kept = {Wish(*fixed) for fixed in before.fixed_ips} & set(wish or ())
                assert kept <= {Wish(*fixed) for fixed in ports[at].fixed_ips}
            elif ports:
                remove_port(change, ports.pop(which % len(ports)))
        except (InUseError, BadRequestError):
            pass  # and nothing has changed, as is seen below
        held = [fixed for port in change.records.ports for fixed in port.fixed_ips]
        assert len(held) == len(set(held))
        assert {one.id: one.fixed_ips for one in ports} == {one.id: one.fixed_ips for one in change.records.ports}
    for one in ports:
        remove_port(change, one)
    total = sum(span_of_pool(pool).size for subnet in subnets for pool in subnet.pools)
    each = [
        Wish(subnet.id, None) for subnet in subnets for pool in subnet.pools for _ in range(span_of_pool(pool).size)
    ]
    full = make_port(change, network, "blue", owner="", device="", wishes=each)
    assert len(set(full.fixed_ips)) == total
