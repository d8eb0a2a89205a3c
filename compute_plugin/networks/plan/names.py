"""How links, namespaces and chains are called: all by ids, which the API makes itself.

Whatever is called so and not in the plan is removed; nothing else ever is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

LINKS: Final = "ds"
"""How the names of links that are made here begin, in the host."""
BRIDGES: Final = "dsb-"
TUNNELS: Final = "dsx-"
VLANS: Final = "dsv-"
SPACES: Final = "drystone-"
DHCP_SPACES: Final = "drystone-dhcp-"
ROUTER_SPACES: Final = "drystone-router-"
PLUGS: Final = "tap"
SUB_PLUGS: Final = "dst-"
DHCP_LINK: Final = "eth0"

_SHORT: Final = 11
"""With a prefix of four characters the longest name that a link can have."""
_ID: Final = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z-]{0,63}")
_LINK: Final = re.compile(r"ds[a-z]-[0-9a-zA-Z-]{1,11}")


@lru_cache(maxsize=65536)
def checked(id_: str) -> str:
    """The id. Raises ValueError for what the API never makes one."""
    if not _ID.fullmatch(id_):
        raise ValueError("an id that is none")
    return id_


@lru_cache(maxsize=65536)
def _short(id_: str) -> str:
    return checked(id_)[:_SHORT]


def bridge(network: str) -> str:
    return BRIDGES + _short(network)


def vxlan(vni: int) -> str:
    return f"{TUNNELS}{vni}"


def vlan(network: str) -> str:
    return VLANS + _short(network)


def plug(port: str) -> str:
    """The link of a server's port; whoever starts the server makes it."""
    return PLUGS + _short(port)


def sub_plug(port: str) -> str:
    """The link of a sub-port of a trunk: made here, on the plug of its parent."""
    return SUB_PLUGS + _short(port)


def dhcp_link(network: str) -> str:
    return f"dsh-{_short(network)}"


def dhcp_space(network: str) -> str:
    return DHCP_SPACES + checked(network)


def router_link(port: str) -> str:
    """A router's interface, in the host."""
    return f"dsr-{_short(port)}"


def router_inner(port: str) -> str:
    """The same, in the router's namespace."""
    return f"qr-{_short(port)}"


def gateway_link(port: str) -> str:
    """A router's gateway, in the host."""
    return f"dsg-{_short(port)}"


def gateway_inner(port: str) -> str:
    return f"qg-{_short(port)}"


def router_space(router: str) -> str:
    return ROUTER_SPACES + checked(router)


def is_ours(link: str) -> bool:
    """Whether a link of the host is called as ours are."""
    return _LINK.fullmatch(link) is not None


def is_our_space(space: str) -> bool:
    return space.startswith((DHCP_SPACES, ROUTER_SPACES))
