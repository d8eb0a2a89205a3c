"""`DomainBackends`: the directories that domains' users are in, each opened at the first question and again when its
domain's configuration is another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import trio

from authn.backends.backend import DirectoryAwayError, IdentityBackend
from authn.backends.opening import open_backend
from authn.directory import Directory
from authn.domain_configuration import SQL, driver_of, opened
from authn.records.settings import DomainConfig
from authn.snapshot import Change
from authn.vault import Vault
from store.core.errors import InvalidError

Opener = Callable[[str, str, Mapping[str, object]], IdentityBackend]
"""`open_backend`, or a test's."""


class DomainBackends:
    """Keep `run` running: it closes what is no longer needed, and everything at the end."""

    def __init__(self, directory: Directory, vault: Vault, opener: Opener = open_backend) -> None:
        self._directory = directory
        self._vault = vault
        self._opener = opener
        self._open: dict[str, tuple[DomainConfig, IdentityBackend]] = {}
        self._served: dict[str, bool] = {}
        self._stale: list[IdentityBackend] = []
        self._work = trio.Event()
        directory.listen(self._on_change)

    def serves(self, domain_id: str) -> bool:
        """Whether the domain's users are in a directory. Raises UnreadableError where that cannot be known."""
        configs = self._directory.snapshot.domain_configs
        if configs.is_unreadable(domain_id):
            configs.require(domain_id)
        config = configs.get(domain_id)
        if config is None:
            return False
        if domain_id not in self._served:
            self._served[domain_id] = driver_of(json.loads(config.options)) != SQL
        return self._served[domain_id]

    def domains(self) -> list[str]:
        """The ids of the domains whose users are in a directory, but for those whose configuration cannot be read."""
        configs = self._directory.snapshot.domain_configs
        return sorted(config.id for config in configs if self.serves(config.id))

    def of(self, domain_id: str) -> IdentityBackend:
        """The domain's directory. Raises DirectoryAwayError where there is none, or none can be opened."""
        if not self.serves(domain_id):
            raise DirectoryAwayError(f"the domain {domain_id} has no directory")
        if domain_id in self._open:
            return self._open[domain_id][1]
        config = self._directory.snapshot.domain_configs.require(domain_id)
        try:
            options = opened(self._vault, config)
            driver = str(driver_of(options))
            backend = self._opener(domain_id, driver, options.get(driver, {}))
        except InvalidError as error:
            raise DirectoryAwayError(f"the directory of the domain {domain_id} cannot be used: {error}") from error
        self._open[domain_id] = config, backend
        return backend

    async def run(self) -> None:
        """Close what configurations no longer ask for; cancelled, close all."""
        try:
            while True:
                await self._work.wait()
                self._work = trio.Event()
                await self._close_stale()
        finally:
            self._stale += [backend for _, backend in self._open.values()]
            self._open.clear()
            with trio.CancelScope(shield=True):
                await self._close_stale()

    async def _close_stale(self) -> None:
        """Calls that are under way end as they would have; what they leave open goes with them."""
        stale, self._stale = self._stale, []
        for backend in stale:
            await backend.aclose()

    def _on_change(self, change: Change) -> None:
        if change.concerns is not None:
            return
        configs = self._directory.snapshot.domain_configs
        self._served.clear()
        for domain_id, (config, backend) in list(self._open.items()):
            if configs.get(domain_id) != config:
                del self._open[domain_id]
                self._stale.append(backend)
                self._work.set()
