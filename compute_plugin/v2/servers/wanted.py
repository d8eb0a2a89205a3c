"""What the body of a request for a server says: read and checked as far as it goes by itself. Sans-I/O."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Final

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import (
    description,
    flag_in,
    is_uuid,
    metadata,
    name_of,
    text,
    text_of,
    uuid_of,
    whole,
    wrong,
)
from compute_plugin.v2.servers.wanted_disks import WantedDisk, read_disks, read_old_disks
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

USER_DATA_MAX: Final = 65535
HINTS_MAX: Final = 16 * 1024
"""Characters and values of a server's hints."""
HINTS_DEPTH_MAX: Final = 64
INT_MAX: Final = 2**63 - 1
COUNT_MAX: Final = 1000
"""Servers of one request."""
HOSTNAME_MAX: Final = 63
DISK_CONFIG: Final = "OS-DCF:diskConfig"
HINTS: Final = ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")
BASE: Final = frozenset(
    {
        "name", "imageRef", "flavorRef", "adminPass", "metadata", "networks", DISK_CONFIG, "accessIPv4", "accessIPv6",
        "availability_zone", "block_device_mapping", "block_device_mapping_v2", "config_drive", "key_name",
        "min_count", "max_count", "return_reservation_id", "security_groups", "user_data",
    }
)  # fmt: skip
SINCE: Final = {
    "description": 19,
    "tags": 52,
    "trusted_image_certificates": 63,
    "host": 74,
    "hypervisor_hostname": 74,
    "hostname": 90,
}
PERSONALITY_UNTIL: Final = 56
AUTO: Final = 37
NIC_TAGS: Final = (32, 37, 42)
FQDN: Final = 94
TAGS_MAX: Final = 50
TAG_CHARACTERS_MAX: Final = 60

_HOSTNAME: Final = re.compile(r"[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+")
_FQDN: Final = re.compile(r"[a-zA-Z0-9]+[a-zA-Z0-9-.]*[a-zA-Z0-9]+")


@dataclass(frozen=True, slots=True)
class WantedNic:
    """A network card that is asked for."""

    network_id: str = ""
    port_id: str = ""
    fixed_ip: str = ""
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A server, or several, as they are asked for."""

    name: str
    flavor: str
    image: str = ""
    admin_password: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    nics: tuple[WantedNic, ...] | None = None
    """None: nothing is said of them."""
    auto_networks: bool = False
    auto_disk: bool | None = None
    access4: str = ""
    access6: str = ""
    zone: str = ""
    forced_host: str = ""
    """By the old form of the zone, which no filter refuses."""
    host: str = ""
    disks: tuple[WantedDisk, ...] = ()
    config_drive: bool = False
    key_name: str | None = None
    least: int = 1
    most: int = 1
    tells_reservation: bool = False
    groups: tuple[str, ...] = ()
    user_data: str = ""
    description: str | None = None
    tags: tuple[str, ...] = ()
    hostname: str = ""
    certificates: tuple[str, ...] | None = None
    hints: dict[str, Any] = field(default_factory=dict)


def read_wanted(call: Call, body: Fields) -> Wanted:
    """Raises InvalidError."""
    body.refuse_others(("server", *HINTS))
    asked = body.object("server")
    known = BASE | {name for name, minor in SINCE.items() if call.since(minor)}
    if not call.since(PERSONALITY_UNTIL + 1):
        known |= {"personality"}
    asked.refuse_others(known)
    for name in ("name", "flavorRef"):
        if name not in asked:
            raise InvalidError(f"'{name}' is a required property")
    if call.since(AUTO) and "networks" not in asked:
        raise InvalidError("'networks' is a required property")
    nics, auto = _networks(call, asked)
    least, most = _counts(asked)
    zone, forced = _zone(call, asked)
    image = asked.value("imageRef")
    if image is not None and image != "":
        image = _image(image)
    if asked.value("personality"):
        raise InvalidError("Files cannot be put into servers here: use user_data.")
    return Wanted(
        name=name_of("name", asked.value("name")),
        flavor=_flavor(asked.value("flavorRef")),
        image=image or "",
        admin_password=text(asked, "adminPass") if "adminPass" in asked else "",
        metadata=_metadata(asked),
        nics=nics,
        auto_networks=auto,
        auto_disk=disk_config(asked),
        access4=address(asked, "accessIPv4", 4),
        access6=address(asked, "accessIPv6", 6),
        zone=zone,
        forced_host=forced,
        host=_host(asked),
        disks=_disks(call, asked),
        config_drive=asked.value("config_drive") is not None and flag_in(asked, "config_drive"),
        key_name=_key_name(asked),
        least=least,
        most=most,
        tells_reservation=flag_in(asked, "return_reservation_id"),
        groups=_groups(asked),
        user_data=read_user_data(asked),
        description=description(asked),
        tags=read_tags(asked.value("tags")) if "tags" in asked else (),
        hostname=read_hostname(call, asked),
        certificates=read_certificates(asked),
        hints=_hints(body),
    )


def default_hostname(name: str, id_: str) -> str:
    """That a server's name makes: as RFC 1123 has names of hosts."""
    made = re.sub(r"[ _.]", "-", name)
    made = re.sub(r"[^a-zA-Z0-9-]+", "", made).lower().strip("-")[:HOSTNAME_MAX].strip("-")
    return made or f"Server-{id_}"


def read_hostname(call: Call, asked: Fields) -> str:
    """Raises InvalidError; "" where none is said."""
    if "hostname" not in asked:
        return ""
    found = text(asked, "hostname", 255 if call.since(FQDN) else HOSTNAME_MAX, least=2)
    if not (_FQDN if call.since(FQDN) else _HOSTNAME).fullmatch(found):
        raise wrong("hostname", "the name of a host")
    return found


def read_user_data(asked: Fields) -> str:
    """Base64, as it is kept. Raises InvalidError."""
    value = asked.value("user_data")
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > USER_DATA_MAX:
        raise wrong("user_data", f"at most {USER_DATA_MAX} characters in base64")
    try:
        base64.b64decode(value, validate=False)
    except (ValueError, binascii.Error) as error:
        raise wrong("user_data", "not in base64") from error
    return value


def read_certificates(asked: Fields) -> tuple[str, ...] | None:
    """Ids of certificates that sign images; none can be trusted here."""
    value = asked.value("trusted_image_certificates")
    if value is None:
        return None
    if not isinstance(value, list) or not 1 <= len(value) <= 50 or len(set(map(str, value))) != len(value):
        raise wrong("trusted_image_certificates", "1 to 50 ids, each once")
    for one in value:
        text_of("trusted_image_certificates", one)
    raise InvalidError("Certificates of images are not verified here: leave trusted_image_certificates out.")


def read_tags(value: Any) -> tuple[str, ...]:
    """Raises InvalidError."""
    if not isinstance(value, list) or len(value) > TAGS_MAX:
        raise wrong("tags", f"a list of at most {TAGS_MAX}")
    for one in value:
        check_tag(one)
    if len(set(value)) != len(value):
        raise wrong("tags", "has non-unique elements")
    return tuple(value)


def check_tag(value: Any) -> None:
    found = text_of("tag", value, TAG_CHARACTERS_MAX)
    if "/" in found or "," in found:
        raise wrong("tag", "a tag has no '/' and no ','")


def disk_config(asked: Fields) -> bool | None:
    """Whether it is AUTO; None where nothing is said. Raises InvalidError."""
    if DISK_CONFIG not in asked:
        return None
    value = asked.value(DISK_CONFIG)
    if value not in ("AUTO", "MANUAL"):
        raise wrong(DISK_CONFIG, "AUTO or MANUAL")
    return bool(value == "AUTO")


def address(asked: Fields, name: str, version: int) -> str:
    """Raises InvalidError."""
    value = asked.value(name) if name in asked else ""
    if value in ("", None):
        return ""
    try:
        found = ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.version != version:
        raise wrong(name, f"not an 'ipv{version}'")
    return str(found)


def _networks(call: Call, asked: Fields) -> tuple[tuple[WantedNic, ...] | None, bool]:
    value = asked.value("networks")
    if value is None:
        if "networks" in asked:
            raise wrong("networks", "not of type 'array'")
        return None, False
    if isinstance(value, str) and call.since(AUTO) and value in ("auto", "none"):
        return (None, True) if value == "auto" else ((), False)
    if not isinstance(value, list):
        raise wrong("networks", "not of type 'array'")
    known = {"fixed_ip", "port", "uuid"}
    if (call.since(NIC_TAGS[0]) and not call.since(NIC_TAGS[1])) or call.since(NIC_TAGS[2]):
        known.add("tag")
    found = []
    for one in asked.objects("networks"):
        one.refuse_others(known)
        nic = WantedNic(
            network_id=uuid_of("networks.uuid", one.value("uuid")) if "uuid" in one else "",
            port_id=uuid_of("networks.port", one.value("port")) if one.value("port") is not None else "",
            fixed_ip=_fixed_ip(one),
            tag=_tag(one),
        )
        if nic.port_id and nic.fixed_ip:
            raise InvalidError("Specified Fixed IP can't be used with port: a port has its addresses.")
        if not nic.port_id and not nic.network_id:
            raise InvalidError("networks: 'uuid' or 'port' is a required property")
        found.append(nic)
    tags = [one.tag for one in found if one.tag is not None]
    if len(set(tags)) != len(tags):
        raise InvalidError("Network interfaces' tags must be unique.")
    return tuple(found), False


def _fixed_ip(one: Fields) -> str:
    value = one.value("fixed_ip")
    if value is None:
        return ""
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) else _no_address()
    except ValueError:
        return _no_address()


def _no_address() -> str:
    raise wrong("networks.fixed_ip", "not an 'ipv4' or an 'ipv6'")


def _tag(one: Fields) -> str | None:
    if one.value("tag") is None:
        return None
    check_tag(one.value("tag"))
    return str(one.value("tag"))


def _counts(asked: Fields) -> tuple[int, int]:
    least = whole("min_count", asked.value("min_count"), 1) if asked.value("min_count") is not None else 1
    most = whole("max_count", asked.value("max_count"), 1) if asked.value("max_count") is not None else least
    if least > most:
        raise InvalidError("min_count must be <= max_count")
    if least > COUNT_MAX:
        raise wrong("min_count", f"at most {COUNT_MAX} servers at once")
    return least, min(most, COUNT_MAX)


def _zone(call: Call, asked: Fields) -> tuple[str, str]:
    """`ZONE:HOST:NODE` was how administrators said a host."""
    value = asked.value("availability_zone")
    if value is None:
        return "", ""
    found = text(asked, "availability_zone")
    zone, _, rest = found.partition(":")
    host, _, node = rest.partition(":")
    if ":" in node:
        raise InvalidError("Unable to parse availability_zone: ZONE:HOST:NODE")
    return zone, host or node


def _host(asked: Fields) -> str:
    for name in ("host", "hypervisor_hostname"):
        if asked.value(name) is not None:
            return text(asked, name)
    return ""


def _disks(call: Call, asked: Fields) -> tuple[WantedDisk, ...]:
    old, new = asked.value("block_device_mapping"), asked.value("block_device_mapping_v2")
    if old and new:
        raise InvalidError("Using different block_device_mapping syntaxes is not allowed in the same request.")
    if "block_device_mapping_v2" in asked:
        return read_disks(call, asked.objects("block_device_mapping_v2"))
    return read_old_disks(asked.objects("block_device_mapping"), bool(asked.value("imageRef"))) if old else ()


def _metadata(asked: Fields) -> dict[str, str]:
    if "metadata" not in asked:
        return {}
    return {key: value or "" for key, value in metadata("metadata", asked.value("metadata")).items()}


def _key_name(asked: Fields) -> str | None:
    return None if asked.value("key_name") is None else text(asked, "key_name")


def _groups(asked: Fields) -> tuple[str, ...]:
    if "security_groups" not in asked:
        return ()
    found: dict[str, None] = {}
    for one in asked.objects("security_groups"):
        if "name" in one:
            found[text(one, "name")] = None
    return tuple(found)


def _image(value: Any) -> str:
    """An id; older clients send a URL that ends with it."""
    last = value.rpartition("/")[2] if isinstance(value, str) else ""
    if not is_uuid(last):
        raise wrong("imageRef", "not a 'uuid'")
    return last


def _flavor(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_of("flavorRef", value).rpartition("/")[2]


def _hints(body: Fields) -> dict[str, Any]:
    for name in HINTS:
        if name in body:
            value = body.value(name)
            if not isinstance(value, dict):
                raise wrong(name, "not of type 'object'")
            group = value.get("group")
            if group is not None and not (isinstance(group, str) and is_uuid(group)):
                raise wrong(f"{name}.group", "not a 'uuid'")
            for one in ("same_host", "different_host"):
                held = value.get(one, [])
                held = held if isinstance(held, list) else [held]
                if not all(isinstance(id_, str) and is_uuid(id_) for id_ in held):
                    raise wrong(f"{name}.{one}", "not a 'uuid'")
            _check_kept(name, value)
            return value
    return {}


def _check_kept(name: str, value: Any) -> None:
    """Raises InvalidError for what is too large or too deep, or has what cannot be kept in a record: hints are of any
    form."""
    left, rest = HINTS_MAX, [(value, 0)]
    while rest:
        one, depth = rest.pop()
        left -= len(one) if isinstance(one, str | list | dict) else 1
        if left < 0 or depth > HINTS_DEPTH_MAX:
            raise wrong(name, "too much")
        if isinstance(one, str):
            text_of(name, one, HINTS_MAX, least=0)
        elif isinstance(one, int) and abs(one) > INT_MAX:
            raise wrong(name, "a number that is too large")
        elif isinstance(one, list):
            rest += [(inner, depth + 1) for inner in one]
        elif isinstance(one, dict):
            rest += [(inner, depth + 1) for pair in one.items() for inner in pair]
