"""What clients and people need to begin: `admin-openrc`, `clouds.yaml`, and the words at the start."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence

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


def welcome(folder: DataFolder, cluster: Cluster, places: Sequence[str], url: str, *, made: bool) -> str:
    """What a person reads when it has started. `places` are the devices' folders."""
    path = _shown(folder.path)
    lines = [f"Drystone serves {url} from {path}. Stop it with Ctrl-C; nothing is lost."]
    if made:
        lines.append(_redundancy(cluster, places))
    openstack, swift = _program("openstack"), _program("swift")
    if not os.path.exists(folder.at("admin-openrc")):  # a node that joined: the password is where the cloud was made
        return "\n".join([*lines, f"  {_program('drystone')} --data {path} status"])
    lines += [
        "",
        "In another shell:",
        f"  source {path}/admin-openrc",
        f"  {openstack} container create photos",
        f"  {openstack} object create photos /etc/os-release --name first",
        f"  {swift} list photos",
        f"  rclone --config {path}/rclone.conf lsl drystone:photos",
        f"  {_program('drystone')} --data {path} status",
    ]
    absent = [name for name in ("openstack", "swift") if not _found(name)]
    if absent:
        packages = " ".join(f"python-{name}client" for name in absent)
        lines.append(f"(for {' and '.join(absent)}: {_shown(sys.executable)} -m pip install {packages})")
    return "\n".join(lines)


def _found(name: str) -> str | None:
    """Where a program is: on the path, or beside the Python that runs this."""
    return shutil.which(name) or shutil.which(name, path=os.path.dirname(sys.executable))


def _program(name: str) -> str:
    """How to call a program from here."""
    found = _found(name)
    return name if found is None or shutil.which(name) else _shown(found)


def _shown(path: str) -> str:
    """A path as one types it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _redundancy(cluster: Cluster, places: Sequence[str]) -> str:
    """What the default policy protects from, and costs."""
    policy = next(each for each in cluster.policies if each.default)
    if policy.erasure:
        cost = f"{(policy.k + policy.m) / policy.k:.2g} bytes of disk a byte"
        return (
            f"Data: {policy.k}+{policy.m} fragments on {policy.width} devices: survives {policy.m} lost; costs {cost}."
        )
    rows = min(3, len(places))
    if policy.replicas == 1:
        return (
            f"Data: one copy, small objects {rows}: damage is noticed, never repaired. "
            "--replicas 2 in a new folder repairs it, for twice the disk."
        )
    disks = len({os.stat(place).st_dev for place in places})
    loss = (
        f"a lost folder is repaired; the loss of {'the one disk' if disks == 1 else 'a disk'} under them is not"
        if disks < len(places)
        else "a lost disk is repaired"
    )
    where = f"{len(places)} folders" if disks < len(places) else f"{disks} disks"
    return (
        f"Data: {policy.replicas} copies, small objects and names {rows}, on {where}: a bad sector, a flipped bit or "
        f"{loss}. Costs {policy.replicas} bytes of disk a byte; --replicas N in a new folder changes it."
    )
