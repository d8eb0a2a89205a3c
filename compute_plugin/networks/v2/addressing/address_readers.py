"""Values about addresses, as clients send them."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.records.network import HostRoute, Pool
from compute_plugin.networks.records.port import AddressPair, DhcpOption
from compute_plugin.networks.v2.frame.attributes import invalid, wrong
from compute_plugin.networks.v2.frame.readers import (
    WrongValueError,
    address,
    items,
    mac,
    one_of,
    prefix,
    table,
    text,
    uuid,
)
from compute_plugin.networks.v2.ports.port_addresses import Wish

PAIRS_MAX: Final = 10
PREFIXES_MAX: Final = 1000
ADDRESSES_MAX: Final = 100
OPTIONS_MAX: Final = 50
OPTION_NAME_MAX: Final = 64
OPTION_VALUE_MAX: Final = 255
BLANK_OPTIONS: Final = ("router", "classless-static-route")
"""Those whose value may be empty: that there is none is what the server is told."""


def ip_version(value: Any) -> int:
    """4 or 6, also as a text."""
    return int(one_of((4, 6))(int(value) if value in ("4", "6") else value))


def any_prefix(value: Any) -> str:
    """A network in CIDR form. Host bits are cut off."""
    try:
        if isinstance(value, str) and "/" in value and "%" not in value and value == value.strip():
            return str(ipaddress.ip_network(value, strict=False))
    except ValueError as error:
        raise WrongValueError(f"'{value}' is not a valid IP subnet") from error
    raise WrongValueError(f"'{value}' is not a valid IP subnet")


def prefixes(value: Any) -> tuple[str, ...]:
    """Networks in CIDR form, one or several; they may overlap."""
    said = value if isinstance(value, list) else [value]
    if len(said) > PREFIXES_MAX:
        raise WrongValueError(f"a list of more than {PREFIXES_MAX}")
    return tuple(any_prefix(one) for one in said)


def pools(value: Any) -> tuple[Pool, ...]:
    """Ranges of addresses."""
    if not isinstance(value, list):
        raise WrongValueError(f"Invalid data format for IP pool: '{value}'")
    one = table({"start": address, "end": address}, ("start", "end"))
    return items(lambda held: Pool(**one(held)))(value)


def nameservers(value: Any) -> tuple[str, ...]:
    """Addresses of servers that know names."""
    return items(_nameserver)(value)


def _nameserver(value: Any) -> str:
    try:
        return address(value)
    except WrongValueError as error:
        raise WrongValueError(f"'{value}' is not a valid nameserver. {error}") from error


def host_routes(value: Any) -> tuple[HostRoute, ...]:
    """Where packets for other networks go."""
    one = table({"destination": prefix, "nexthop": address}, ("destination", "nexthop"))
    return items(lambda held: HostRoute(**one(held)))(value)


def fixed_ips(value: Any) -> tuple[Wish, ...]:
    """What a port's addresses are to be. An address is of the port but once; a subnet may give several."""
    if not isinstance(value, list):
        raise WrongValueError(f"Invalid data format for fixed IP: '{value}'")
    if len(value) > ADDRESSES_MAX:
        raise WrongValueError(f"a list of more than {ADDRESSES_MAX}")
    found = tuple(_wish(one) for one in value)
    seen = set[str]()
    for wish in found:
        if wish.address in seen:
            raise WrongValueError(f"Duplicate IP address '{wish.address}'")
        if wish.address is not None:
            seen.add(wish.address)
    return found


def _wish(value: Any) -> Wish:
    if not isinstance(value, dict):
        raise WrongValueError(f"Invalid data format for fixed IP: '{value}'")
    held = table({"subnet_id": uuid, "ip_address": address})(value)
    return Wish(held.get("subnet_id"), held.get("ip_address"))


def address_pairs(value: Any) -> tuple[tuple[str, str | None], ...]:
    """Addresses, each with a MAC or without. Raises BadRequestError."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadRequestError("HTTPBadRequest", "Allowed address pairs must be a list.")
    if len(value) > PAIRS_MAX:
        raise BadRequestError(
            "AllowedAddressPairExhausted", f"The number of allowed address pair exceeds the maximum {PAIRS_MAX}."
        )
    found: list[tuple[str, str | None]] = []
    for one in value:
        pair = _pair(one)
        if pair in found:
            raise _twice(*pair)
        found.append(pair)
    return tuple(found)


def with_macs(pairs: tuple[tuple[str, str | None], ...], own: str) -> tuple[AddressPair, ...]:
    """Where no MAC was said it is the port's own. Raises BadRequestError."""
    found = tuple(AddressPair(one, own if held is None else held) for one, held in pairs)
    for pair in found:
        if found.count(pair) > 1:
            raise _twice(pair.address, pair.mac)
    return found


def _pair(value: Any) -> tuple[str, str | None]:
    if not isinstance(value, dict):
        raise WrongValueError(f"'{value}' is not a dictionary")
    if "ip_address" not in value:
        raise BadRequestError("AllowedAddressPairsMissingIP", "AllowedAddressPair must contain ip_address")
    held = table({"ip_address": _address_or_prefix, "mac_address": mac})(value)
    return held["ip_address"], held.get("mac_address")


def _address_or_prefix(value: Any) -> str:
    found = any_prefix(value) if isinstance(value, str) and "/" in value else address(value)
    if ipaddress.ip_network(found).is_multicast:
        raise WrongValueError(f"'{value}' cannot be a multicast address")
    return found


def _twice(held: str, own: str | None) -> BadRequestError:
    return BadRequestError(
        "DuplicateAddressPairInRequest",
        f"Request contains duplicate address pair: mac_address {own} ip_address {held}.",
    )


def dhcp_options(value: Any) -> tuple[tuple[str, str | None, int], ...]:
    """Name, value (None: the option is to go) and version of IP of each. Raises BadRequestError."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > OPTIONS_MAX:
        raise WrongValueError(f"'{value}' is not a list of at most {OPTIONS_MAX}")
    found = []
    for one in value:
        try:
            found.append(_dhcp_option(one))
        except WrongValueError as error:
            raise invalid(f"No valid key specs matched for: {one}") from error
    return tuple(found)


def _dhcp_option(value: Any) -> tuple[str, str | None, int]:
    held = table(
        {
            "opt_name": _line(OPTION_NAME_MAX),
            "opt_value": lambda said: None if said is None else text(OPTION_VALUE_MAX)(said),
            "ip_version": ip_version,
        },
        ("opt_name", "opt_value"),
    )(value)
    if held["opt_value"] is not None and held["opt_name"] not in BLANK_OPTIONS:
        _line(OPTION_VALUE_MAX)(held["opt_value"])
    return held["opt_name"], held["opt_value"], held.get("ip_version", 4)


def _line(most: int) -> Any:
    plain = text(most)

    def read(value: Any) -> str:
        found: str = plain(value)
        if not found.strip() or "\n" in found or "\r" in found:
            raise WrongValueError(f"'{value}' is blank or has several lines")
        return found

    return read


def with_options(
    held: tuple[DhcpOption, ...], asked: tuple[tuple[str, str | None, int], ...]
) -> tuple[DhcpOption, ...]:
    """Those that a port has, with what is asked for: others stay as they are. Raises BadRequestError."""
    found = {(one.name, one.ip_version): one for one in held}
    for name, value, version in asked:
        if value is None or (value == "" and name not in BLANK_OPTIONS):
            found.pop((name, version), None)
        else:
            found[name, version] = DhcpOption(name, value, version)
    if len(found) > OPTIONS_MAX:
        raise wrong("extra_dhcp_opts", f"a port has at most {OPTIONS_MAX}")
    return tuple(found.values())
