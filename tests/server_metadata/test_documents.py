"""The documents: what cloud-init reads of them, in all their forms."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pycdlib import PyCdlib

from compute_plugin.metadata.answers import answer
from compute_plugin.metadata.config_drive import LABEL, write_config_drive
from compute_plugin.metadata.documents import VERSIONS, drive_documents, metadata_tree
from compute_plugin.metadata.network_data import network_data
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.server import Server, ServerDisk, ServerNic
from compute_plugin.settings import Settings

PORT = "11111111-2222-4333-8444-555555555555"
SUBNET: dict[str, Any] = {
    "id": "s4", "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "enable_dhcp": True,
    "dns_nameservers": ["192.0.2.53"], "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}],
}  # fmt: skip
HOSTILE = "</name>\"'; $(reboot) \u2028 \N{PILE OF POO}"
SEED = b"\1" * 512


def port(**said: Any) -> dict[str, Any]:
    held = {
        "id": PORT, "mac_address": "fa:16:3e:00:00:01", "network_id": "n", "mtu": 1450, "subnets": [SUBNET],
        "fixed_ips": [{"subnet_id": "s4", "ip_address": "10.0.0.7"}],
    }  # fmt: skip
    return {**held, **said}


def server(**said: Any) -> Server:
    held: dict[str, Any] = {
        "id": "00000000-0000-4000-8000-000000000001", "number": 255, "project_id": "blue", "user_id": "u",
        "name": HOSTILE, "hostname": "web", "flavor": Flavor(id="1", name="m1.tiny", vcpus=1, ram=512, disk=1),
        "created_us": 1, "updated_us": 1, "key_name": "k", "public_key": "ssh-ed25519 AAAA me",
        "user_data": base64.b64encode(b"#!/bin/sh\n").decode(), "metadata": {"role": HOSTILE},
        "nics": (ServerNic(port_id=PORT, tag="front"),), "admin_password": "secret", "reservation_id": "r-1",
        "disks": (ServerDisk(source="blank", store_name="server-x-0", target="vda", tag="root", boot_index=0),),
    }  # fmt: skip
    return Server(**{**held, **said})


def told(path: str, of: Server | None = None) -> str:
    tree = metadata_tree(of or server(), [port()], Settings(), SEED)
    found = answer(tree, [part for part in path.split("/") if part])
    return found.body.decode() if found.status == 200 else str(found.status)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_cloud_init_reads(version: str) -> None:
    found = json.loads(told(f"openstack/{version}/meta_data.json"))
    assert found["name"] == HOSTILE
    assert found["meta"] == {"role": HOSTILE}
    assert (found["uuid"], found["hostname"], found["project_id"]) == (server().id, "web", "blue")
    assert found["public_keys"] == {"k": "ssh-ed25519 AAAA me"}
    assert base64.b64decode(found["random_seed"]) == SEED
    assert found["admin_pass"] == "secret"
    assert {one["type"]: one["tags"] for one in found["devices"]} == {"nic": ["front"], "disk": ["root"]}
    assert told(f"openstack/{version}/user_data") == "#!/bin/sh\n"


def test_ec2_has_it_too() -> None:
    assert told("latest/meta-data/instance-id") == "i-000000ff"
    assert told("latest/meta-data/local-ipv4") == "10.0.0.7"
    assert told("2009-04-04/meta-data/public-keys/") == "0=k"
    assert told("latest/meta-data/public-keys/0/openssh-key") == "ssh-ed25519 AAAA me"
    assert told("latest/user-data") == "#!/bin/sh\n"
    assert "placement/" in told("latest/meta-data/").split("\n")
    assert told("latest/meta-data/placement/availability-zone") == "nova"


def test_folders_are_listed_and_nothing_else_is_there() -> None:
    assert "openstack/" in told("").split("\n")
    assert set(told("openstack").split("\n")) == {f"{version}/" for version in VERSIONS}
    for path in ("nothing", "openstack/1999-01-01", "openstack/latest/meta_data.json/more", "latest/meta-data/_name"):
        assert told(path) == "404", path


def test_who_has_no_key_and_no_user_data_is_told_none() -> None:
    plain = server(key_name=None, user_data="", metadata={}, admin_password="")
    found = json.loads(told("openstack/latest/meta_data.json", plain))
    assert not {"public_keys", "keys", "meta", "admin_pass"} & found.keys()
    assert told("openstack/latest/user_data", plain) == "404"
    assert told("latest/meta-data/public-keys/", plain) == "404"


def test_network_data_of_dhcp_static_addresses_and_ipv6() -> None:
    found = network_data([port()])
    assert found["links"] == [
        {"id": "tap11111111-22", "vif_id": PORT, "type": "phy", "mtu": 1450,
         "ethernet_mac_address": "fa:16:3e:00:00:01"}
    ]  # fmt: skip
    assert [one["type"] for one in found["networks"]] == ["ipv4_dhcp"]
    assert found["services"] == [{"type": "dns", "address": "192.0.2.53"}]
    (fixed,) = network_data([port(subnets=[{**SUBNET, "enable_dhcp": False}])])["networks"]
    assert (fixed["type"], fixed["ip_address"], fixed["netmask"]) == ("ipv4", "10.0.0.7", "255.255.255.0")
    assert fixed["routes"] == [
        {"network": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.9"},
        {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
    ]
    six = {**SUBNET, "cidr": "2001:db8::/64", "ipv6_address_mode": "slaac", "gateway_ip": "2001:db8::1"}
    (slaac,) = network_data([port(subnets=[six], fixed_ips=[{"subnet_id": "s4", "ip_address": "2001:db8::7"}])])[
        "networks"
    ]
    assert slaac["type"] == "ipv6_slaac"


def test_the_drive_holds_them_under_their_names(tmp_path: Path) -> None:
    documents = drive_documents(server(), [port()], Settings(), SEED)
    path = tmp_path / "config.iso"
    write_config_drive(str(path), documents)
    drive = PyCdlib()
    drive.open(str(path))
    assert drive.pvd.volume_identifier.decode().strip() == LABEL
    for name, text in documents.items():
        for kind in ("rr_path", "joliet_path"):
            read = io.BytesIO()
            drive.get_file_from_iso_fp(read, **{kind: f"/{name}"})
            assert read.getvalue() == text, (name, kind)
    drive.close()
    assert [one.name for one in tmp_path.iterdir()] == ["config.iso"]
