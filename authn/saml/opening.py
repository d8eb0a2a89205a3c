"""Makes this cloud an identity provider where the operator wants it; else nothing of SAML is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authn.saml.config import SamlConfig
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import InvalidError

if TYPE_CHECKING:
    from authn.saml.provider import SamlProvider


def open_saml(config: SamlConfig | None, clock: Clock, random: Random) -> SamlProvider | None:
    """Raises InvalidError where what signs is not installed."""
    if config is None:
        return None
    try:
        from authn.saml.provider import SamlProvider  # here alone: lxml need not be there
    except ImportError as error:
        raise InvalidError(f"saml: needs the package signxml ({error}): pip install 'drystone[saml]'") from error
    return SamlProvider(config, clock, random)
