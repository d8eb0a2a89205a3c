"""What an agent needs of its host, and says when it is missing."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import Final

TOOLS: Final = ("ip", "bridge", "nft", "nsenter", "dnsmasq", "radvd", "conntrack")
_BRIDGE_NETFILTER: Final = "/proc/sys/net/bridge/bridge-nf-call-iptables"


def problems() -> tuple[str, ...]:
    """In words for people; () where nothing is missing."""
    found = []
    if os.geteuid() != 0:
        found.append("networks are wired by root, and this is another user")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        found.append(f"not installed: {', '.join(missing)}")
    if not Path(_BRIDGE_NETFILTER).exists():
        found.append("the kernel's module br_netfilter is not loaded, without which there are no security groups")
    return tuple(found)


def raise_limits() -> None:
    """Some open files for each network: as many as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
