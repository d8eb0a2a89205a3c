"""The file of `drystone up --identity-config`: which identity providers and dashboards the cloud trusts, and what its
policy says otherwise than the default, what it wants of passwords, how its limits work, how it vouches for users."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from authn.federation.config import FederationConfig, parse_federation
from authn.limit_models import FLAT, LimitModel, parse_limit_model
from authn.password_rules import PasswordRules, parse_password_rules
from authn.policy import identity_policy
from authn.saml.config import SamlConfig, parse_saml
from authn.saml.opening import open_saml
from compute_plugin.config import ComputeConfig, parse_compute_config
from compute_plugin.networks.config import NetworkConfig, parse_network_config
from gateway.rest.cors import require_origins
from gateway.rest.policy import Policy
from gateway.volumes.policy import volume_policy
from image_registry.config import parse_image_config
from image_registry.service import ImageConfig
from store.core.clock import SystemClock
from store.core.entropy import SystemRandom
from store.core.errors import InvalidError


class IdentityFile(NamedTuple):
    """What it says."""

    federation: FederationConfig
    policy: Policy
    changed: tuple[str, ...]
    """The operations and rules whose check is the operator's own."""
    password_rules: PasswordRules
    limit_model: LimitModel
    saml: SamlConfig | None = None
    cors_origins: tuple[str, ...] = ()
    """Web pages of other hosts that may use the API from a browser."""
    images: ImageConfig = ImageConfig()
    volumes: Policy = volume_policy()
    networks: NetworkConfig = NetworkConfig()
    compute: ComputeConfig = ComputeConfig()


def read_identity_file(path: str | None) -> IdentityFile:
    """None: nothing is said. Raises InvalidError that says what is wrong, and where."""
    if path is None:
        return IdentityFile(FederationConfig(), identity_policy(), (), PasswordRules(), FLAT)
    try:
        value = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidError(f"{path}: is no TOML: {error}") from error
    try:
        overrides = _overrides(value.pop("policy", {}))
        rules = parse_password_rules(value.pop("security_compliance", {}))
        model = parse_limit_model(value.pop("unified_limit", {}))
        saml = parse_saml(value.pop("saml")) if "saml" in value else None
        open_saml(saml, SystemClock(), SystemRandom())  # that it can be done is found out before anything is served
        origins = _origins(value.pop("cors_origins", []))
        policy, images = identity_policy(overrides), parse_image_config(value.pop("image", {}))
        volumes = volume_policy(_volume_overrides(value.pop("volume", {})))
        networks = parse_network_config(value.pop("network", {}))
        compute = parse_compute_config(value.pop("compute", {}))
        return IdentityFile(
            parse_federation(value), policy, tuple(sorted(overrides)), rules, model, saml, origins, images, volumes,
            networks, compute,
        )  # fmt: skip
    except InvalidError as error:
        raise InvalidError(f"{path}: {error}") from error


def _origins(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(origin, str) for origin in value):
        raise InvalidError('cors_origins: an array of origins, such as ["https://console.example"]')
    require_origins(value)
    return tuple(value)


def _volume_overrides(value: Any) -> Mapping[str, str]:
    """Of the table `volume`, which has `policy` alone."""
    if not isinstance(value, dict) or value.keys() - {"policy"}:
        raise InvalidError("volume: a table that has policy in it, and nothing else")
    return _overrides(value.get("policy", {}))


def _overrides(value: Any) -> Mapping[str, str]:
    """The table `policy`: checks by the name of an operation or rule."""
    if not isinstance(value, dict):
        raise InvalidError('policy: a table of checks, such as "identity:list_users" = "role:admin"')
    for name, check in value.items():
        if not isinstance(check, str):
            raise InvalidError(f'policy.{name}: a check is a text, such as "role:admin"')
    return value
