"""The scheme and host that a client asked, for links back. X-Forwarded headers are not believed: anybody sends them."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any, Final

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def origin(scope: MutableMapping[str, Any]) -> str:
    """Such as `http://cloud.example:8080`."""
    scheme = "https" if scope.get("scheme") == "https" else "http"
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    if _HOST.fullmatch(host):
        return f"{scheme}://{host.decode()}"
    server, port = scope.get("server") or ("127.0.0.1", None)
    if ":" in server:
        server = f"[{server}]"
    return f"{scheme}://{server}" if port is None else f"{scheme}://{server}:{port}"
