"""What servers are told in EC2's form, which many images still ask for. Pure.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from compute_plugin.records.server import Server
from compute_plugin.settings import Settings

EC2_VERSIONS: Final = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04", "latest",
)  # fmt: skip


def ec2_tree(
    server: Server, ports: Sequence[Mapping[str, Any]], settings: Settings, user_data: bytes
) -> dict[str, Any]:
    """As paths lead through it."""
    addresses = [one["ip_address"] for port in ports for one in port["fixed_ips"]]
    of4 = next((one for one in addresses if ":" not in one), "")
    floating = next((one for port in ports for one in port.get("floating_ips", ())), "")
    disks = {"ami": "vda", "root": f"/dev/{server.disks[0].target}" if server.disks else "none"}
    told: dict[str, Any] = {
        "ami-id": f"ami-{server.number:08x}",
        "ami-launch-index": str(server.index),
        "block-device-mapping": disks,
        "hostname": server.hostname,
        "instance-action": "none",
        "instance-id": f"i-{server.number:08x}",
        "instance-type": server.flavor.name,
        "local-hostname": server.hostname,
        "local-ipv4": of4,
        "placement": {"availability-zone": server.zone or settings.zone},
        "public-hostname": server.hostname,
        "public-ipv4": floating,
        "reservation-id": server.reservation_id,
        "security-groups": "\n".join(server.security_groups),
    }
    if server.key_name is not None:
        told["public-keys"] = {"0": {"openssh-key": server.public_key, "_name": f"0={server.key_name}"}}
    return {"meta-data": told, **({"user-data": user_data} if user_data else {})}
