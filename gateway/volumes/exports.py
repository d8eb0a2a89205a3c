"""Where a server's host finds a volume: what `drystone` says of its NBD server."""

from __future__ import annotations

from typing import Protocol


class Exports(Protocol):
    """How volumes are reached, and cut off."""

    def place(self) -> dict[str, object]:
        """`socket`, a path on this machine; or `host`, `port` and `tls`. For the data of a connection."""
        ...

    async def cut_off(self, name: str) -> None:
        """Whoever has the volume open, on any node, can neither read nor write it any more when this returns. Raises
        NotFoundError."""
        ...
