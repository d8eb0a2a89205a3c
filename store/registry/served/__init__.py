"""The registry that another process owns, asked over links: `client` keeps the promise, `service` answers for the
owner, `methods` says what goes between them."""

from store.registry.served.client import ServedRegistry
from store.registry.served.service import RegistryService

__all__ = ["RegistryService", "ServedRegistry"]
