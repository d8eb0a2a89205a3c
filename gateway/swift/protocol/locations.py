"""Paths as answers state them."""

from __future__ import annotations

from urllib.parse import quote


def object_path(account: str, container: str, name: str) -> str:
    """The path of an object, quoted."""
    return quote(f"/v1/{account}/{container}/{name}")


def version_path(account: str, container: str, name: str, version: str) -> str:
    """The path of a version."""
    return f"{object_path(account, container, name)}?version-id={version}"
