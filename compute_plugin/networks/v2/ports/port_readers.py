"""Values of ports, as clients send them."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from compute_plugin.networks.v2.frame.readers import NAME_MAX, WrongValueError, one_of, table, text

VNIC_TYPES: Final = (
    "normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic", "vdpa",
    "accelerator-direct", "accelerator-direct-physical", "remote-managed",
)  # fmt: skip
PROFILE_MAX: Final = 4095
_LABEL: Final = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_STEERING: Final = table({"tx-steering": one_of(("thread", "hash"))})
_HINTS: Final = table({"openvswitch": table({"other_config": _STEERING})})


def dns_name(value: Any) -> str:
    """A name, whole with a dot at its end or without a domain; "" is none."""
    if value is None:
        return ""
    found: str = text(NAME_MAX)(value).lower()
    labels = found.removesuffix(".").split(".")
    if found and not all(_LABEL.fullmatch(one) for one in labels):
        raise WrongValueError(
            f"'{value}' not a valid PQDN or FQDN. Reason: Name '{value}' must be 1-63 characters long, each of which "
            "can only be alphanumeric or a hyphen"
        )
    if len(labels) > 1 and labels[-1].isdecimal():
        raise WrongValueError(f"'{value}' not a valid PQDN or FQDN. Reason: TLD '{labels[-1]}' must not be all numeric")
    return found


def dns_domain(value: Any) -> str:
    """A domain, with a dot at its end; "" is none."""
    found = dns_name(value)
    if found and not found.endswith("."):
        raise WrongValueError(f"'{value}' is not a FQDN")
    return found


def host(value: Any) -> str:
    """The name of the host that it is to be plugged in at; "" is none."""
    return "" if value is None else str(text(NAME_MAX)(value))


def profile(value: Any) -> str:
    """What whoever plugs it in is to know: an object, as JSON."""
    if value is None:
        return "{}"
    if not isinstance(value, dict):
        raise WrongValueError(f"'{value}' is not a dictionary")
    found = json.dumps(value)
    if len(found) > PROFILE_MAX:
        raise WrongValueError("binding:profile value too large")
    return found


def hints(value: Any) -> str | None:
    """For how its host plugs it in, as JSON."""
    return None if value is None else json.dumps(_HINTS(value))
