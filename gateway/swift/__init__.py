"""The OpenStack Swift v1 object API: an ASGI application over the object store's public client."""

from gateway.swift.app import SwiftApp
from gateway.swift.config import Config, Limits
from gateway.swift.domain_remap import DomainRemap

__all__ = ["Config", "DomainRemap", "Limits", "SwiftApp"]
