"""What clients and people need to begin: `admin-openrc`, `clouds.yaml`, and the words at the start."""

from __future__ import annotations

import os
import re

from drystone.cluster import Cluster
from drystone.folder import DataFolder

FILES = ("admin-openrc", "clouds.yaml", "rclone.conf")


def write(folder: DataFolder, url: str, user: str, password: str, project: str) -> None:
    """The files for clients, with the administrator's password; only the owner may read them."""
    auth_url = f"{url}/identity/v3"
    folder.write(
        "admin-openrc",
        f"""# For openstack and swift: source this file
export OS_AUTH_URL={auth_url}
export OS_IDENTITY_API_VERSION=3
export OS_USERNAME={user}
export OS_PASSWORD={password}
export OS_PROJECT_NAME={project}
export OS_USER_DOMAIN_NAME=Default
export OS_PROJECT_DOMAIN_NAME=Default
export OS_REGION_NAME=RegionOne
# Tools that know no Keystone sign in at {url}/auth/v1.0 as {project}:{user}, with the same password
""",
    )
    folder.write(
        "clouds.yaml",
        f"""clouds:
  drystone:
    auth:
      auth_url: {auth_url}
      username: {user}
      password: {password}
      project_name: {project}
      user_domain_name: Default
      project_domain_name: Default
    region_name: RegionOne
    identity_api_version: 3
""",
    )
    folder.write(
        "rclone.conf",
        f"""[drystone]
type = swift
auth = {auth_url}
user = {user}
key = {password}
domain = Default
tenant = {project}
tenant_domain = Default
region = RegionOne
""",
    )


def update_url(folder: DataFolder, url: str) -> None:
    """The same files for another address, if it has changed."""
    for name in FILES:
        try:
            with open(folder.at(name), encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            continue
        changed = re.sub(r"https?://[^/\s]+(?=/(identity/v3|auth/v1\.0))", url, text)
        if changed != text:
            folder.write(name, changed)


def welcome(folder: DataFolder, cluster: Cluster, devices: int, url: str, *, made: bool) -> str:
    """What a person reads when it has started."""
    path = os.path.relpath(folder.path)
    if path.startswith(".."):
        path = folder.path
    lines = [f"Drystone serves {url} from {path}. Stop it with Ctrl-C; nothing is lost."]
    if made:
        lines.append(_redundancy(cluster, devices))
    lines += [
        "",
        "In another shell:",
        f"  source {path}/admin-openrc",
        "  openstack container create photos",
        "  openstack object create photos cat.jpg",
        "  swift list photos",
        f"  rclone --config {path}/rclone.conf lsl drystone:photos",
        f"  drystone --data {path} status",
    ]
    return "\n".join(lines)


def _redundancy(cluster: Cluster, devices: int) -> str:
    """What the default policy protects from, and costs."""
    policy = next(each for each in cluster.policies if each.default)
    if policy.erasure:
        cost = f"{(policy.k + policy.m) / policy.k:.2g} bytes of disk a byte"
        return (
            f"Data: {policy.k}+{policy.m} fragments on {policy.width} devices: survives {policy.m} lost; costs {cost}."
        )
    rows = min(3, devices)
    if policy.replicas == 1:
        return (
            f"Data: one copy, small objects {rows}: damage is noticed, never repaired. "
            "--replicas 2 in a new folder repairs it, for twice the disk."
        )
    return (
        f"Data: {policy.replicas} copies, small objects and names {rows}, in {devices} folders: a bad sector, a "
        "flipped bit or a lost folder is repaired; the loss of the one disk under them is not. "
        f"Costs {policy.replicas} bytes of disk a byte; --replicas N in a new folder changes it."
    )
