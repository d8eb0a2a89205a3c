"""What an agent needs of its host, and says when it is missing."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import Final

from compute_plugin.networks.agent.running import run

TOOLS: Final = ("ip", "bridge", "nft", "nsenter", "dnsmasq", "radvd", "conntrack")
CAPABILITIES: Final = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
"""What root may not have in a container, by numbers of bits."""
_STATUS: Final = Path("/proc/self/status")
_BRIDGE_NETFILTER: Final = "/proc/sys/net/bridge/bridge-nf-call-iptables"


async def load_modules() -> None:
    """Try to load what is missing. The kinds of links (vxlan, 8021q) the kernel loads itself when one is made."""
    if os.geteuid() == 0 and not _has_bridge_netfilter() and shutil.which("modprobe") is not None:
        await run(["modprobe", "br_netfilter"])


def problems() -> tuple[str, ...]:
    """In words for people; () where nothing is missing."""
    found = []
    if os.geteuid() != 0:
        found.append("networks are wired by root, and this is another user")
    elif lacking := _lacking(_STATUS.read_text()):
        found.append(f"networks are wired by root with {' and '.join(lacking)}, which a container has not by itself")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        found.append(f"not installed: {', '.join(missing)}")
    if not _has_bridge_netfilter():
        found.append("the kernel's module br_netfilter is not loaded, without which there are no security groups")
    return tuple(found)


def _lacking(status: str) -> list[str]:
    """Capabilities that a process does not have, by its status in /proc."""
    held = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    return [name for name, bit in CAPABILITIES.items() if not held >> bit & 1]


def _has_bridge_netfilter() -> bool:
    return Path(_BRIDGE_NETFILTER).exists()


def raise_limits() -> None:
    """Some open files for each network: as many as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
