"""Each filter lets through what it should, and says why it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.grouping import Aggregate, ServerGroup
from compute_plugin.records.operating import HostNote
from compute_plugin.records.records import Records
from compute_plugin.records.server import Before, Server, ServerDisk, Transition, VmState
from compute_plugin.records.states import HostState, States
from compute_plugin.scheduling.choice import NoHostError, choose
from compute_plugin.scheduling.filters import FILTERS, Request
from compute_plugin.scheduling.hosts import Host, host_of, store_of
from compute_plugin.scheduling.requests import place, request_for
from compute_plugin.settings import Settings

SETTINGS = Settings(cpu_ratio=2.0, ram_ratio=1.5, ram_reserved_mib=1024, disk_ratio=2.0)
FLAVOR = Flavor(id="1", name="small", vcpus=2, ram=1024, disk=10, ephemeral=5, swap=1500)
ONE = HostState(id="one", uuid="u1", address="192.0.2.1", vcpus=4, memory_mib=5120, disk_gib=50, cpu={"arch": "x86_64"})


def server(number: int = 1, host: str = "", **said: Any) -> Server:
    made = {"project_id": "blue", "flavor": FLAVOR, **said}
    return Server(
        id=f"s{number}", number=number, user_id="u", name="n", hostname="h", created_us=0, updated_us=0, host=host,
        **made,
    )  # fmt: skip


def host(
    state: HostState = ONE, *servers: Server, note: HostNote | None = None, aggregates: tuple[Aggregate, ...] = ()
) -> Host:
    records = Records()
    for one in servers:
        records.servers.put(one)
    for aggregate in aggregates:
        records.aggregates.put(aggregate)
    if note is not None:
        records.host_notes.put(note)
    states = States()
    states.hosts.put(state)
    return host_of(records, state, SETTINGS, store_of(records, states))


def request(**said: Any) -> Request:
    made = {
        "server": server(), "flavor": FLAVOR, "image_properties": {}, "group": None, "members": (), "local_gib": 17,
        **said,
    }  # fmt: skip
    return Request(**made)


def aggregate(**metadata: str) -> Aggregate:
    return Aggregate(id="a", uuid="a", number=1, name="a", hosts=("one",), metadata=metadata)


def hinted(**hints: Any) -> Request:
    return request(server=server(hints=hints))


def of_specs(**specs: str) -> Request:
    prefixed = {f"aggregate_instance_extra_specs:{name}": value for name, value in specs.items()}
    return request(flavor=replace(FLAVOR, extra_specs=prefixed))


def grouped(policy: str, *hosts: str, most: int = 0) -> Request:
    group = ServerGroup(id="g", project_id="blue", user_id="u", name="g", policy=policy, max_per_host=most)
    return request(group=group, members=[server(number + 9, at) for number, at in enumerate(hosts)])


BUSY = (server(7, "one"), server(8, "one"))
NOTE = HostNote(id="one", service_id="s")

CASES: list[tuple[str, Host, Request, str]] = [
    ("HostFilter", host(), request(), ""),
    ("HostFilter", host(), request(host="one"), ""),
    ("HostFilter", host(), request(host="two"), "two was asked for"),
    ("HostFilter", host(), request(others_than=frozenset({"one"})), "it is where the server is"),
    ("ComputeFilter", host(), request(), ""),
    ("ComputeFilter", host(note=NOTE), request(), ""),
    ("ComputeFilter", host(note=replace(NOTE, forced_down=True)), request(), "an administrator said that it is down"),
    ("ComputeFilter", host(note=replace(NOTE, disabled=True)), request(), "it is disabled: no reason was given"),
    (
        "ComputeFilter", host(note=replace(NOTE, disabled=True, disabled_reason="new disks")), request(),
        "it is disabled: new disks",
    ),
    ("ComputeFilter", host(replace(ONE, problems=("no hypervisor", "no wires"))), request(), "no hypervisor; no wires"),
    ("AvailabilityZoneFilter", host(), request(zone="nova"), ""),
    ("AvailabilityZoneFilter", host(), request(zone="mars"), "it is in zone nova"),
    ("AvailabilityZoneFilter", host(aggregates=(aggregate(availability_zone="mars"),)), request(zone="mars"), ""),
    ("VCPUFilter", host(), request(), ""),
    ("VCPUFilter", host(), request(flavor=replace(FLAVOR, vcpus=8)), ""),
    ("VCPUFilter", host(), request(flavor=replace(FLAVOR, vcpus=9)), "9 VCPUs are more than its 8"),
    ("VCPUFilter", host(ONE, *BUSY), request(flavor=replace(FLAVOR, vcpus=5)), "4 of 8 VCPUs are free"),
    ("RamFilter", host(), request(flavor=replace(FLAVOR, ram=6144)), ""),
    ("RamFilter", host(), request(flavor=replace(FLAVOR, ram=6145)), "6144 of 6144 MiB are free"),
    ("RamFilter", host(ONE, *BUSY), request(flavor=replace(FLAVOR, ram=4097)), "4096 of 6144 MiB are free"),
    ("DiskFilter", host(), request(local_gib=100), ""),
    ("DiskFilter", host(), request(local_gib=101), "100 of 100 GiB are free"),
    ("DiskFilter", host(ONE, *BUSY), request(local_gib=67), "66 of 100 GiB are free"),
    ("ImagePropertiesFilter", host(), request(image_properties={"hw_architecture": "x86_64"}), ""),
    ("ImagePropertiesFilter", host(), request(image_properties={"hw_architecture": "aarch64"}), "it is no aarch64"),
    ("ImagePropertiesFilter", host(), request(image_properties={"img_hv_type": "kvm"}), "it runs no kvm"),
    ("ImagePropertiesFilter", host(replace(ONE, kind="KVM")), request(image_properties={"img_hv_type": "qemu"}), ""),
    ("ImagePropertiesFilter", host(), request(image_properties={"hypervisor_type": "lxc"}), "it runs no lxc"),
    ("ComputeCapabilitiesFilter", host(replace(ONE, can=("pause",))), request(can=frozenset({"pause"})), ""),
    ("ComputeCapabilitiesFilter", host(), request(can=frozenset({"rescue", "pause"})), "QEMU cannot pause, rescue"),
    ("AggregateInstanceExtraSpecsFilter", host(), request(), ""),
    ("AggregateInstanceExtraSpecsFilter", host(), of_specs(ssd="true"), "none of its aggregates has ssd true"),
    ("AggregateInstanceExtraSpecsFilter", host(aggregates=(aggregate(ssd="true"),)), of_specs(ssd="true"), ""),
    (
        "AggregateInstanceExtraSpecsFilter", host(aggregates=(aggregate(n="4"),)), of_specs(n=">= 5"),
        "none of its aggregates has n >= 5",
    ),
    ("AggregateInstanceExtraSpecsFilter", host(aggregates=(aggregate(n="5"),)), of_specs(n=">= 5"), ""),
    ("AggregateInstanceExtraSpecsFilter", host(aggregates=(aggregate(n="5"),)), of_specs(n="== 5.0"), ""),
    ("AggregateInstanceExtraSpecsFilter", host(aggregates=(aggregate(n="5"),)), of_specs(n="!= 4"), ""),
    ("AggregateInstanceExtraSpecsFilter", host(aggregates=(aggregate(n="5"),)), of_specs(n="< 6"), ""),
    (
        "AggregateInstanceExtraSpecsFilter", host(aggregates=(aggregate(n="five"),)), of_specs(n=">= 5"),
        "none of its aggregates has n >= 5",
    ),
    ("AggregateInstanceExtraSpecsFilter", host(aggregates=(aggregate(n="red"),)), of_specs(n="<or> blue <or> red"), ""),
    ("AggregateInstanceExtraSpecsFilter", host(aggregates=(aggregate(n="dark red"),)), of_specs(n="<in> red"), ""),
    ("AggregateMultiTenancyIsolation", host(aggregates=(aggregate(filter_tenant_id="a, blue"),)), request(), ""),
    (
        "AggregateMultiTenancyIsolation", host(aggregates=(aggregate(filter_tenant_id="a,b"),)), request(),
        "it is for other projects",
    ),
    ("HintsFilter", host(ONE, *BUSY), hinted(same_host="s7"), ""),
    ("HintsFilter", host(ONE, *BUSY), hinted(same_host=["s7", "s99"]), ""),
    ("HintsFilter", host(ONE, *BUSY), hinted(same_host="s99"), "it has none of s99"),
    ("HintsFilter", host(ONE, *BUSY), hinted(different_host=["s7", "s8"]), "it has s7, s8"),
    ("HintsFilter", host(), hinted(different_host="s7"), ""),
    ("HintsFilter", host(), hinted(different_host=7, same_host={}), ""),
    ("HintsFilter", host(), hinted(build_near_host_ip="192.0.2.200"), ""),
    ("HintsFilter", host(), hinted(build_near_host_ip="192.0.3.1"), "192.0.2.1 is not in 192.0.3.0/24"),
    ("HintsFilter", host(), hinted(build_near_host_ip="192.0.3.1", cidr="/16"), ""),
    ("HintsFilter", host(), hinted(build_near_host_ip="2001:db8::1", cidr="/64"), "192.0.2.1 is not in 2001:db8::/64"),
    ("HintsFilter", host(), hinted(build_near_host_ip="x"), "x/24 is no network"),
    ("JsonFilter", host(), hinted(), ""),
    ("JsonFilter", host(), hinted(query='[">=", "$free_ram_mb", 6144]'), ""),
    ("JsonFilter", host(), hinted(query='[">", "$free_ram_mb", 6144]'), "the query does not hold"),
    ("JsonFilter", host(), hinted(query='["and", [">=", "$vcpus_total", 8], ["in", "$host", "two", "one"]]'), ""),
    ("JsonFilter", host(), hinted(query='["or", ["=", "$host", "two"], ["not", ["<", "$vcpus_used", 0]]]'), ""),
    ("JsonFilter", host(), hinted(query="{"), "the query is none"),
    ("JsonFilter", host(), hinted(query="[]"), "the query is none"),
    ("JsonFilter", host(), hinted(query='["~", 1, 2]'), "the query is none"),
    ("JsonFilter", host(), hinted(query='["<", "$free_ram_mb", "text"]'), "the query is none"),
    ("JsonFilter", host(), hinted(query='["not",' * 100_000), "the query is none"),
    ("JsonFilter", host(), hinted(query='["not",' * 400 + "1" + "]" * 400), ""),
    ("ServerGroupFilter", host(), request(), ""),
    ("ServerGroupFilter", host(), grouped("affinity"), ""),
    ("ServerGroupFilter", host(), grouped("affinity", "one", "two"), ""),
    ("ServerGroupFilter", host(), grouped("affinity", "two"), "its group is on another host"),
    ("ServerGroupFilter", host(), grouped("affinity", ""), ""),
    ("ServerGroupFilter", host(), grouped("anti-affinity", "two"), ""),
    ("ServerGroupFilter", host(), grouped("anti-affinity", "one"), "a server of its group is there"),
    ("ServerGroupFilter", host(), grouped("anti-affinity", "one", most=2), ""),
    ("ServerGroupFilter", host(), grouped("anti-affinity", "one", "one", most=2), "a server of its group is there"),
    ("ServerGroupFilter", host(), grouped("soft-anti-affinity", "one"), ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "at", "asked", "why"), CASES)
def test_a_filter(name: str, at: Host, asked: Request, why: str) -> None:
    assert FILTERS[name](at, asked) == why


def test_each_filter_is_tried() -> None:
    assert {name for name, *_ in CASES} == set(FILTERS)
    for name in FILTERS:
        assert {bool(why) for one, *_, why in CASES if one == name} == {True, False}, name


def two(*, one: tuple[Server, ...] = (), other: tuple[Server, ...] = ()) -> list[Host]:
    return [host(ONE, *one), host(replace(ONE, id="two"), *other)]


def test_it_goes_where_most_memory_is_free() -> None:
    assert choose(two(one=(server(7, "one"),)), request()).name == "two"
    assert choose(two(other=(server(7, "two"),)), request()).name == "one"


def test_it_spreads_while_others_are_on_their_way() -> None:
    doing = Transition("build", "t", "r", "u", "p", (), "one", "", "", {}, 0)
    thin = Flavor(id="0", name="thin", vcpus=0, ram=0, disk=0)
    busy = server(7, "one", flavor=thin, transition=doing)
    assert choose(two(one=(busy,)), request()).name == "two"


@pytest.mark.parametrize(("policy", "name"), [("soft-affinity", "one"), ("soft-anti-affinity", "two")])
def test_soft_groups_count_more_than_room(policy: str, name: str) -> None:
    member = server(9, "one")
    asked = replace(grouped(policy), members=[member])
    large = replace(ONE, memory_mib=50_000)
    found = {"one": host(large if name == "two" else ONE, member), "two": host(replace(ONE, id="two"))}
    assert choose(found.values(), asked).name == name


def test_where_there_is_none_each_host_says_why_by_its_first_filter() -> None:
    full = request(flavor=replace(FLAVOR, ram=99_999, vcpus=99), local_gib=101)
    with pytest.raises(NoHostError) as caught:
        choose([host(replace(ONE, id="b")), host(replace(ONE, id="a", memory_mib=1 << 20, vcpus=50))], full)
    assert str(caught.value) == (
        "No valid host was found. a: DiskFilter: 100 of 100 GiB are free; b: VCPUFilter: 99 VCPUs are more than its 8"
    )
    assert caught.value.refused["b"] == ("VCPUFilter", "99 VCPUs are more than its 8")
    with pytest.raises(NoHostError, match=r"^No valid host was found\. There is no host\.$"):
        choose([], full)


def test_until_a_resize_is_confirmed_both_hosts_are_taken() -> None:
    small = replace(FLAVOR, vcpus=1, ram=512)
    moved = server(7, "two", flavor=FLAVOR, before=Before(small, "one", VmState.ACTIVE), state=VmState.RESIZED)
    assert host(ONE, moved).ram_used_mib == 512
    assert host(replace(ONE, id="two"), moved).ram_used_mib == 1024
    same = replace(moved, host="one")
    assert (host(ONE, same).vcpus_used, host(ONE, same).ram_used_mib) == (3, 1536)


def test_the_store_is_on_all_hosts_and_its_servers_are_on_any() -> None:
    """One without a device has servers, too; and all claim of one store."""
    states, records = States(), Records()
    states.hosts.put(replace(ONE, disk_gib=0))
    asked = server(9)
    with pytest.raises(NoHostError, match="DiskFilter: 0 of 0 GiB are free"):
        place(records, states, SETTINGS, asked)
    states.hosts.put(replace(ONE, id="two", vcpus=0, disk_gib=100))
    assert place(records, states, SETTINGS, asked).name == "one"
    limit = int(100 * SETTINGS.disk_ratio)
    for number, (host, flavor) in enumerate((("one", limit // 2), ("gone", limit // 2))):
        records.servers.put(server(number, host, flavor=replace(FLAVOR, disk=flavor, ephemeral=0, swap=0)))
    with pytest.raises(NoHostError, match=f"DiskFilter: 0 of {limit} GiB are free"):
        place(records, states, SETTINGS, asked)


def test_a_server_takes_its_disks_along() -> None:
    """Also where a host is lost, and more is claimed than the others have; but no more than it has."""
    states, records = States(), Records()
    states.hosts.put(ONE)
    limit = int(ONE.disk_gib * SETTINGS.disk_ratio)
    wide = replace(FLAVOR, disk=limit + 10, ephemeral=0, swap=0)
    held = server(9, "gone", flavor=wide)
    records.servers.put(held)
    assert place(records, states, SETTINGS, held, others_than=frozenset({"gone"})).name == "one"
    with pytest.raises(NoHostError, match=f"DiskFilter: -10 of {limit} GiB are free"):
        place(records, states, SETTINGS, held, replace(wide, disk=limit + 11))


def test_what_boots_from_a_volume_takes_no_disk_of_the_host() -> None:
    root = ServerDisk(source="image", destination="volume", boot_index=0)
    records = Records()
    held = server(7, "one", disks=(root,))
    records.servers.put(held)
    states = States()
    states.hosts.put(ONE)
    assert store_of(records, states).used_gib == 7  # its other disks
    assert request_for(records, replace(held, host="")).local_gib == 7
    wide = replace(FLAVOR, disk=10_000)
    assert place(records, states, SETTINGS, replace(held, flavor=wide)).name == "one"
