"""What an operator says of images: the table `image` of the configuration file."""

from __future__ import annotations

from typing import Any

from image_registry.policy import image_policy
from image_registry.protection import parse_protection
from image_registry.service import ImageConfig
from image_registry.web_source import WebRules
from store.core.errors import InvalidError


def parse_image_config(value: Any) -> ImageConfig:
    """Of `web_download_hosts` (names or addresses from which images are fetched whatever they stand for), `policy`
    (checks by operation or rule) and `property_protection` (see image_registry.protection). Raises InvalidError."""
    if not isinstance(value, dict):
        raise InvalidError("image: a table")
    hosts, overrides = value.pop("web_download_hosts", []), value.pop("policy", {})
    protection = parse_protection(value.pop("property_protection", {}))
    for name in value:
        raise InvalidError(f"image.{name}: not known here")
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise InvalidError('image.web_download_hosts: an array of hosts, such as ["mirror.example"]')
    if not isinstance(overrides, dict) or not all(isinstance(check, str) for check in overrides.values()):
        raise InvalidError('image.policy: a table of checks, such as "publicize_image" = "role:member"')
    return ImageConfig(image_policy(overrides), web=WebRules(frozenset(hosts)), protection=protection)
