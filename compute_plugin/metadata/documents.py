"""What servers are told in OpenStack's form. Pure.

https://docs.openstack.org/nova/latest/user/metadata.html
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from compute_plugin.metadata.ec2 import EC2_VERSIONS, ec2_tree
from compute_plugin.metadata.network_data import network_data
from compute_plugin.records.server import Server
from compute_plugin.settings import Settings

VERSIONS: Final = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27",
    "2020-10-14", "latest",
)  # fmt: skip
"""As of which clients may ask; what was added since is told to all of them, as it does not harm."""
Tree = Mapping[str, Any]
"""By names, documents (bytes or text) and trees."""


def metadata_tree(server: Server, ports: Sequence[Mapping[str, Any]], settings: Settings, seed: bytes) -> Tree:
    """As paths lead through it. `seed`: 512 random bytes for the guest."""
    version = openstack_documents(server, ports, settings, seed)
    ec2 = ec2_tree(server, ports, settings, user_data_of(server))
    return {"openstack": dict.fromkeys(VERSIONS, version), **dict.fromkeys(EC2_VERSIONS, ec2)}


def openstack_documents(
    server: Server, ports: Sequence[Mapping[str, Any]], settings: Settings, seed: bytes
) -> dict[str, bytes]:
    """Those of one version."""
    documents = {
        "meta_data.json": _json(meta_data(server, ports, settings, seed)),
        "network_data.json": _json(network_data(ports)),
        "vendor_data.json": _json({}),
        "vendor_data2.json": _json({}),
    }
    user_data = user_data_of(server)
    if user_data:
        documents["user_data"] = user_data
    return documents


def drive_documents(
    server: Server, ports: Sequence[Mapping[str, Any]], settings: Settings, seed: bytes
) -> dict[str, bytes]:
    """Those of a config drive, by their paths."""
    found = openstack_documents(server, ports, settings, seed)
    paths = {f"openstack/{version}/{name}": text for version in VERSIONS for name, text in found.items()}
    ec2 = ec2_tree(server, ports, settings, b"")
    paths["ec2/2009-04-04/meta-data.json"] = _json(ec2["meta-data"])
    paths["ec2/latest/meta-data.json"] = _json(ec2["meta-data"])
    if user_data := user_data_of(server):
        paths["ec2/2009-04-04/user-data"] = paths["ec2/latest/user-data"] = user_data
    return paths


def meta_data(server: Server, ports: Sequence[Mapping[str, Any]], settings: Settings, seed: bytes) -> dict[str, Any]:
    """`meta_data.json`."""
    found: dict[str, Any] = {
        "uuid": server.id,
        "hostname": server.hostname,
        "name": server.name,
        "launch_index": server.index,
        "availability_zone": server.zone or settings.zone,
        "project_id": server.project_id,
        "random_seed": base64.b64encode(seed).decode(),
        "devices": _devices(server, ports),
        "dedicated_cpus": [],
    }
    if server.metadata:
        found["meta"] = dict(server.metadata)
    if server.key_name is not None:
        found["public_keys"] = {server.key_name: server.public_key}
        found["keys"] = [{"name": server.key_name, "type": server.key_type, "data": server.public_key}]
    if server.admin_password:
        found["admin_pass"] = server.admin_password
    return found


def user_data_of(server: Server) -> bytes:
    """As it was sent; b"" for none."""
    try:
        return base64.b64decode(server.user_data)
    except (ValueError, binascii.Error):
        return b""


def _devices(server: Server, ports: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Those that have a tag."""
    tags = {nic.port_id: nic.tag for nic in server.nics if nic.tag}
    nics = [
        {"type": "nic", "bus": "none", "address": "none", "mac": port["mac_address"], "tags": [tags[port["id"]]]}
        for port in ports
        if port["id"] in tags
    ]
    disks = [
        {
            "type": "disk",
            "bus": "none",
            "address": "none",
            "serial": disk.volume_id or disk.store_name,
            "path": f"/dev/{disk.target}",
            "tags": [disk.tag],
        }
        for disk in server.disks
        if disk.tag
    ]
    return [*nics, *disks]


def _json(found: Any) -> bytes:
    return json.dumps(found).encode()
