"""What an operator says of networks: the table `network` of the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from compute_plugin.networks.settings import LIMITS, Settings
from compute_plugin.networks.v2.policy.table import network_policy
from gateway.rest.policy import Policy
from store.core.errors import InvalidError

MTU: Final = (1280, 65_535)
VNI_MOST: Final = (1 << 24) - 1


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """All of it."""

    settings: Settings = field(default_factory=Settings)
    policy: Policy = field(default_factory=network_policy)


def parse_network_config(value: Any) -> NetworkConfig:
    """Of `mtu` (of the wires between hosts), `vni_range` (two numbers: those of networks that say nothing),
    `dns_domain`, `limits` (of each project, by the names of quotas) and `policy` (checks by operation or rule). Raises
    InvalidError."""
    if not isinstance(value, dict):
        raise InvalidError("network: a table")
    for name in value.keys() - {"mtu", "vni_range", "dns_domain", "limits", "policy"}:
        raise InvalidError(f"network.{name}: not known here")
    plain = Settings()
    least, most = _range(value.get("vni_range", [plain.vni_least, plain.vni_most]))
    settings = Settings(
        mtu=_number("mtu", value.get("mtu", plain.mtu), *MTU),
        vni_least=least,
        vni_most=most,
        dns_domain=_domain(value.get("dns_domain", plain.dns_domain)),
        limits=_limits(value.get("limits", {})),
    )
    return NetworkConfig(settings, network_policy(_checks(value.get("policy", {}))))


def _number(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidError(f"network.{name}: a whole number from {least} to {most}")
    return value


def _range(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise InvalidError("network.vni_range: two numbers, such as [1, 65000]")
    least, most = (_number("vni_range", one, 1, VNI_MOST) for one in value)
    if least > most:
        raise InvalidError("network.vni_range: the lower number comes first")
    return least, most


def _domain(value: Any) -> str:
    labels = value.removesuffix(".").split(".") if isinstance(value, str) else [""]
    if not all(1 <= len(one) <= 63 and one.isascii() and one.replace("-", "a").isalnum() for one in labels):
        raise InvalidError('network.dns_domain: a domain, such as "openstacklocal."')
    return ".".join(labels) + "."


def _limits(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise InvalidError("network.limits: a table of numbers, such as network = 100")
    for name in value.keys() - LIMITS.keys():
        raise InvalidError(f"network.limits.{name}: there are limits of {', '.join(LIMITS)}")
    return {name: _number(f"limits.{name}", limit, -1, 2**31 - 1) for name, limit in value.items()}


def _checks(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(check, str) for check in value.values()):
        raise InvalidError('network.policy: a table of checks, such as "create_network:shared" = "role:member"')
    return value
