"""Where a request comes from and what host it asked. X-Forwarded headers are not believed: anybody sends them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import MutableMapping
from typing import Any, Final

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[([0-9A-Fa-f:.]{2,45})\])(?::([0-9]{1,5}))?")
_PORT_MAX: Final = 65535


def origin(scope: MutableMapping[str, Any]) -> str:
    """The scheme and host that a client asked, for links back, such as `http://cloud.example:8080`."""
    scheme = "https" if scope.get("scheme") == "https" else "http"
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    if _is_host(host):
        return f"{scheme}://{host.decode()}"
    server, port = scope.get("server") or ("127.0.0.1", None)
    if ":" in server:
        server = f"[{server}]"
    return f"{scheme}://{server}" if port is None else f"{scheme}://{server}:{port}"


def address(scope: MutableMapping[str, Any]) -> str:
    """Whose share a request is counted to: a client's address, of IPv6 the network of 64 bits that one client may have
    all of; "" where there is none."""
    client = scope.get("client")
    try:
        found = ipaddress.ip_address(client[0]) if client else None
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found or "")


def _is_host(said: bytes) -> bool:
    """Whether it is one, with or without a port: those who read it in a URL refuse any other."""
    found = _HOST.fullmatch(said)
    if found is None or int(found[2] or 0) > _PORT_MAX:
        return False
    try:
        return found[1] is None or bool(ipaddress.IPv6Address(found[1].decode()))
    except ValueError:
        return False
