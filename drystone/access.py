"""What commands find in their context."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from drystone.control import open_registry
from drystone.folder import DataFolder
from store.core.errors import NotFoundError
from store.registry import Registry


class Access:
    """The data folder, and its registry on request."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder

    def registry(self) -> AbstractAsyncContextManager[Registry]:
        return open_registry(self.folder)

    @property
    def cluster_key(self) -> bytes:
        """What placement is keyed with. Raises NotFoundError in a folder without a cluster."""
        cluster = self.folder.cluster()
        if cluster is None:
            raise NotFoundError(f"there is no Drystone in {self.folder.path}: start one with 'drystone up'")
        return cluster.key
