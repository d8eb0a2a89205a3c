"""The file of `drystone up --identity-config`: which identity providers and dashboards the cloud trusts."""

from __future__ import annotations

import tomllib
from pathlib import Path

from authn.federation.config import FederationConfig, parse_federation
from store.core.errors import InvalidError


def read_identity_file(path: str) -> FederationConfig:
    """Raises InvalidError that says what is wrong, and where."""
    try:
        value = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidError(f"{path}: is no TOML: {error}") from error
    try:
        return parse_federation(value)
    except InvalidError as error:
        raise InvalidError(f"{path}: {error}") from error
