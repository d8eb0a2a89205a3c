"""What the body of a new server may say, by microversion."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.compute_servers.cloud import Cloud

NOBODY = "11111111-1111-4111-8111-111111111111"


async def tried(cloud: Cloud, version: str, token: str = "member@blue", image: str = "", **said: Any) -> int:
    """The status of a request; what it makes is deleted. `said`: None for what is left out."""
    body: dict[str, Any] = {"name": "web", "flavorRef": "1", "imageRef": image, "networks": "none", **said}
    if float(version.partition(".")[2]) < 37 and body["networks"] == "none":
        del body["networks"]
    answer = await cloud.ask("POST", "/servers", {"server": body}, version=version, token=token)
    if answer.status == 202:
        await cloud.quiet()
        for one in list(cloud.compute.store.records.servers):
            await cloud.ask("DELETE", f"/servers/{one.id}", token="admin@blue")
        await cloud.quiet()
    return answer.status


@pytest.mark.parametrize(
    ("field", "value", "since"),
    [
        ("description", "of the web", 19),
        ("tags", ["a", "b"], 52),
        ("host", "one", 74),
        ("hypervisor_hostname", "one", 74),
        ("hostname", "web-1", 90),
    ],
)
async def test_a_field_is_known_from_a_microversion_on(cloud: Cloud, field: str, value: Any, since: int) -> None:
    image = await cloud.image()
    said = {field: value}
    assert await tried(cloud, f"2.{since}", "admin@blue", image, **said) == 202
    assert await tried(cloud, f"2.{since - 1}", "admin@blue", image, **said) == 400


async def test_personality_is_no_more_from_2_57_on(cloud: Cloud) -> None:
    image = await cloud.image()
    assert await tried(cloud, "2.57", image=image, personality=[]) == 400
    assert await tried(cloud, "2.56", image=image, personality=[]) == 202
    text = base64.b64encode(b"x").decode()
    assert await tried(cloud, "2.56", image=image, personality=[{"path": "/x", "contents": text}]) == 400


async def test_certificates_of_images_are_refused_since_they_could_not_be_checked(cloud: Cloud) -> None:
    image = await cloud.image()
    assert await tried(cloud, "2.63", image=image, trusted_image_certificates=None) == 202
    assert await tried(cloud, "2.63", image=image, trusted_image_certificates=["one"]) == 400
    assert await tried(cloud, "2.62", image=image, trusted_image_certificates=None) == 400


async def test_networks_are_to_be_said_from_2_37_on(cloud: Cloud) -> None:
    image = await cloud.image()
    body = {"server": {"name": "web", "flavorRef": "1", "imageRef": image}}
    said = await cloud.refused(400, "POST", "/servers", body, version="2.37")
    assert said == "'networks' is a required property"
    assert (await cloud.ask("POST", "/servers", body, version="2.36")).status == 202
    for value in ("none", "auto"):
        body["server"]["networks"] = value
        assert (await cloud.ask("POST", "/servers", body, version="2.36")).status == 400
    await cloud.refused(400, "POST", "/servers", body, version="2.37")  # auto, and there is no network
    network = await cloud.network()
    made = await cloud.done("POST", "/servers", body, version="2.37")
    shown = await cloud.settled(made["server"]["id"], "ACTIVE")
    assert [port.network_id for port in cloud.networks.store.records.ports.by("device", shown["id"])] == [network]


async def test_tags_of_network_cards_are_there_in_2_32_and_again_from_2_42_on(cloud: Cloud) -> None:
    image, network = await cloud.image(), await cloud.network()
    nics = [{"uuid": network, "tag": "front"}]
    statuses = {minor: await tried(cloud, f"2.{minor}", image=image, networks=nics) for minor in (31, 32, 36, 37, 42)}
    assert statuses == {31: 400, 32: 202, 36: 202, 37: 400, 42: 202}
    twice = [{"uuid": network, "tag": "same"}, {"uuid": network, "tag": "same"}]
    assert await tried(cloud, "2.42", image=image, networks=twice) == 400


async def test_tags_of_disks_are_there_in_2_32_and_again_from_2_42_on(cloud: Cloud) -> None:
    image, volume = await cloud.image(), await cloud.volume()
    disk = {"source_type": "volume", "destination_type": "volume", "uuid": volume, "tag": "data"}
    disks = [disk]
    statuses = {
        minor: await tried(cloud, f"2.{minor}", image=image, block_device_mapping_v2=disks)
        for minor in (31, 32, 33, 41, 42)
    }
    assert statuses == {31: 400, 32: 202, 33: 400, 41: 400, 42: 202}


async def test_a_volume_type_is_known_from_2_67_on(cloud: Cloud) -> None:
    image = await cloud.image()
    disk = {
        "source_type": "image", "destination_type": "volume", "uuid": image, "volume_size": 1, "boot_index": 0,
        "volume_type": "standard",
    }  # fmt: skip
    body = {"name": "web", "flavorRef": "1", "networks": "none", "block_device_mapping_v2": [disk]}
    await cloud.refused(400, "POST", "/servers", {"server": body}, version="2.66")
    assert (await cloud.ask("POST", "/servers", {"server": body}, version="2.67")).status == 202


async def test_a_host_is_for_administrators(cloud: Cloud) -> None:
    image = await cloud.image()
    assert await tried(cloud, "2.74", "member@blue", image, host="one") == 403
    assert await tried(cloud, "2.74", "admin@blue", image, host="none such") == 400
    assert await tried(cloud, "2.74", "admin@blue", image, host="two") == 400
    assert await tried(cloud, "2.1", "member@blue", image, availability_zone="nova:one") == 403
    assert await tried(cloud, "2.1", "admin@blue", image, availability_zone="nova:one") == 202
    assert await tried(cloud, "2.1", "admin@blue", image, availability_zone="nova:one:one:one") == 400
    assert await tried(cloud, "2.1", "member@blue", image, availability_zone="nova") == 202
    assert await tried(cloud, "2.1", "member@blue", image, availability_zone="mars") == 400


async def test_a_hostname_may_be_a_whole_one_from_2_94_on(cloud: Cloud) -> None:
    image = await cloud.image()
    assert await tried(cloud, "2.93", image=image, hostname="web.example.org") == 400
    assert await tried(cloud, "2.94", image=image, hostname="web.example.org") == 202
    for bad in ("-web", "web-", "w b", "", "a" * 64, "wéb", 7, None):
        assert await tried(cloud, "2.93", image=image, hostname=bad) == 400, bad


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", " web"), ("name", "a" * 256), ("name", 7), ("name", None), ("name", "a\nb"),
        ("flavorRef", "none"), ("flavorRef", None), ("flavorRef", ["1"]), ("flavorRef", ""),
        ("imageRef", "no id"), ("imageRef", NOBODY), ("imageRef", 7),
        ("adminPass", 7), ("adminPass", ""),
        ("metadata", {"k": None}), ("metadata", {"k" * 256: "v"}), ("metadata", {"k": "v" * 256}), ("metadata", []),
        ("metadata", {"": "v"}), ("metadata", {"é": "v"}),
        ("accessIPv4", "::1"), ("accessIPv6", "10.0.0.1"), ("accessIPv4", "web"),
        ("OS-DCF:diskConfig", "SOMETIMES"), ("config_drive", "maybe"), ("key_name", "none"), ("key_name", 7),
        ("min_count", 0), ("min_count", "many"), ("min_count", 3), ("max_count", -1), ("min_count", True),
        ("networks", [{}]), ("networks", [{"uuid": NOBODY}]), ("networks", [{"uuid": "x"}]), ("networks", "some"),
        ("networks", [{"port": NOBODY}]), ("networks", {"uuid": NOBODY}), ("networks", [{"uuid": NOBODY, "x": 1}]),
        ("security_groups", [{"name": "none"}]), ("security_groups", "default"),
        ("user_data", "A" * 65536), ("user_data", 7), ("user_data", "YQ"),
        ("tags", ["a/b"]), ("tags", ["a", "a"]), ("tags", ["a" * 61]), ("tags", [str(i) for i in range(51)]),
        ("tags", "a"), ("tags", [7]), ("tags", [""]),
        ("description", 7), ("description", "a" * 256), ("return_reservation_id", "perhaps"),
        ("unknown", "field"), ("block_device_mapping_v2", "x"), ("block_device_mapping_v2", [7]),
        ("availability_zone", 7),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused(cloud: Cloud, field: str, value: Any) -> None:
    image, _ = await cloud.image(), await cloud.network()
    said: dict[str, Any] = {"max_count": 2} if field == "min_count" else {}
    said |= {"networks": [{"uuid": await cloud.network()}]} if field == "security_groups" else {}
    assert await tried(cloud, "2.90", image=image, **{**said, field: value}) == 400
    assert not list(cloud.compute.store.records.servers)


async def test_names_of_old_bodies_are_taken(cloud: Cloud) -> None:
    image = await cloud.image()
    for said in (
        {"flavorRef": "http://cloud/flavors/1"}, {"flavorRef": 1}, {"imageRef": f"http://cloud/images/{image}"},
        {"config_drive": "True"}, {"min_count": "1"}, {"security_groups": [{"name": "default"}]},
        {"user_data": base64.b64encode(b"#!/bin/sh").decode()}, {"key_name": None}, {"metadata": {"a.b:c d_-": ""}},
    ):  # fmt: skip
        assert await tried(cloud, "2.1", image=image, **said) == 202, said


async def test_what_is_answered(cloud: Cloud) -> None:
    image = await cloud.image()
    answer = await cloud.ask(
        "POST", "/servers", {"server": {"name": "w", "imageRef": image, "flavorRef": "1"}}, version="2.1"
    )
    made = answer.json["server"]
    assert answer.headers["location"].endswith(f"/compute/v2.1/servers/{made['id']}")
    assert set(made) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert len(made["adminPass"]) == 12
    body = {"server": {"name": "w", "imageRef": image, "flavorRef": "1", "return_reservation_id": True}}
    told = await cloud.done("POST", "/servers", body, version="2.1")
    await cloud.quiet()
    held = (await cloud.done("GET", f"/servers?reservation_id={told['reservation_id']}"))["servers"]
    assert len(held) == 1
    assert held[0]["id"] != made["id"]


async def test_of_several_each_has_its_number(cloud: Cloud) -> None:
    await cloud.order(await cloud.image(), min_count=2, max_count=3, name="W 1.x", hostname="host")
    await cloud.quiet()
    rows = (await cloud.done("GET", "/servers/detail?sort_key=launch_index&sort_dir=asc"))["servers"]
    assert [row["name"] for row in rows] == ["W 1.x-1", "W 1.x-2", "W 1.x-3"]
    assert [row["OS-EXT-SRV-ATTR:hostname"] for row in rows] == ["host-1", "host-2", "host-3"]


async def test_names_of_several_hosts_are_none_too_long(cloud: Cloud) -> None:
    """For the name service of networks, which has 63 characters."""
    network = await cloud.network()
    await cloud.order(await cloud.image(), min_count=2, name="a" * 255, networks=[{"uuid": network}])
    await cloud.quiet()
    for server in cloud.compute.store.records.servers:
        assert (str(server.state), server.fault) == ("active", None)
        assert len(server.hostname) <= 63
        assert server.hostname.endswith(f"-{server.index + 1}")
    assert len({one.hostname for one in cloud.compute.store.records.servers}) == 2


async def test_several_cannot_have_one_port_or_one_volume(cloud: Cloud) -> None:
    image, network, volume = await cloud.image(), await cloud.network(), await cloud.volume()
    port = await cloud.port(network)
    for said in (
        {"networks": [{"port": port}]},
        {"networks": [{"uuid": network, "fixed_ip": "10.0.0.77"}]},
        {"block_device_mapping_v2": [{"source_type": "volume", "destination_type": "volume", "uuid": volume}]},
    ):
        body = {"name": "w", "imageRef": image, "flavorRef": "1", "min_count": 2, "networks": "none", **said}
        await cloud.refused(400, "POST", "/servers", {"server": body})


async def test_a_whole_hostname_is_a_ports_too(cloud: Cloud) -> None:
    network = await cloud.network()
    id_ = await cloud.server(await cloud.image(), hostname="web.example.org", networks=[{"uuid": network}])
    assert (await cloud.show(id_))["OS-EXT-SRV-ATTR:hostname"] == "web.example.org"
    (port,) = cloud.networks.store.records.ports.by("device", id_)
    assert port.dns_name == "web.example.org"


async def test_a_hostname_is_changed(cloud: Cloud) -> None:
    network = await cloud.network()
    id_ = await cloud.server(await cloud.image(), networks=[{"uuid": network}])
    said = {"server": {"hostname": "other"}}
    await cloud.refused(400, "PUT", f"/servers/{id_}", said, version="2.89")
    shown = await cloud.done("PUT", f"/servers/{id_}", said, version="2.90")
    assert shown["server"]["OS-EXT-SRV-ATTR:hostname"] == "other"
