"""Which providers a cloud trusts, and which dashboards, as its operator writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from authn.federation.certificate import PROTOCOL
from authn.federation.dashboards import Dashboards
from authn.federation.fields import a_text, an_array, an_object
from authn.federation.provider import OpenIDProvider, parse_provider
from store.core.errors import InvalidError

_PROVIDERS_MAX = 256
_DASHBOARDS_MAX = 64


@dataclass(frozen=True, slots=True)
class FederationConfig:
    """By default nobody is trusted."""

    providers: tuple[OpenIDProvider, ...] = ()
    dashboards: Dashboards = field(default_factory=lambda: Dashboards(()))
    public_url: str = ""
    """Of identity, as browsers call it, without a slash at the end: what the Host header of a request says is not
    believed where a provider is to send a browser with a code."""


def parse_federation(value: Mapping[str, Any]) -> FederationConfig:
    """`openid_provider` is an array of blocks (`parse_provider`), `trusted_dashboards` one of URLs, `public_url` a URL
    such as `https://cloud.example.com/identity`. Raises InvalidError that names the field which is missing, wrong or
    unknown."""
    held = an_object(value, "identity", allowed=("openid_provider", "trusted_dashboards", "public_url"))
    blocks = an_array(held.get("openid_provider", []), "openid_provider", most=_PROVIDERS_MAX)
    providers = tuple(parse_provider(block, f"openid_provider[{number}]") for number, block in enumerate(blocks))
    names = [(provider.identity_provider, provider.protocol) for provider in providers]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InvalidError(f"openid_provider[{number}]: the identity provider {name[0]} has {name[1]} twice")
        if name[1] == PROTOCOL:
            raise InvalidError(f"openid_provider[{number}].protocol: {PROTOCOL} is that of client certificates")
    urls = an_array(held.get("trusted_dashboards", []), "trusted_dashboards", most=_DASHBOARDS_MAX)
    public_url = _public_url(held.get("public_url", ""))
    if urls and not public_url:
        raise InvalidError("public_url: is missing, and trusted_dashboards need it: providers send browsers back there")
    trusted = [a_text(url, f"trusted_dashboards[{number}]") for number, url in enumerate(urls)]
    return FederationConfig(providers, Dashboards(trusted), public_url)


def _public_url(value: Any) -> str:
    text = a_text(value, "public_url", most=512).rstrip("/")
    if not text:
        return ""
    wrong = InvalidError("public_url: is no URL of identity, such as https://cloud.example.com/identity")
    try:
        url = urlsplit(text)
        named = url.hostname and url.port != 0
    except ValueError as error:
        raise wrong from error
    plain = text.isascii() and text.isprintable() and not set(text) & set(" \"'<>;,\\?#@")
    if url.scheme not in ("http", "https") or not named or not plain:
        raise wrong
    return text
