"""How ports are called in their networks. What is no name of the DNS is not used: these texts go into files."""

from __future__ import annotations

import re

from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.port import Port

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def is_name(text: str) -> bool:
    """Whether it is a name of labels, without a dot at its end."""
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.split("."))


def host_name(port: Port, address: str) -> str:
    """Of one of a port's addresses (in its one form)."""
    if not port.dns_name:
        return default_name(address)
    wanted = port.dns_name.lower().rstrip(".")
    return wanted if is_name(wanted) else default_name(address)


def default_name(address: str) -> str:
    """Of an address whose port has no name."""
    return "host-" + address.replace(".", "-").replace(":", "-").rstrip("-")


def domain(network: Network, default: str) -> str:
    """Of a network; "" for none."""
    for text in (network.dns_domain, default):
        wanted = text.lower().rstrip(".")
        if wanted and is_name(wanted):
            return wanted
    return ""
