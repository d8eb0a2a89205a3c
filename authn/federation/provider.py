"""An OpenID Connect provider that is trusted, as the operator writes it down."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from authn.federation.fields import a_flag, a_text, an_array, an_object
from store.core.errors import InvalidError

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")
"""RFC 6749, section 3.3."""


@dataclass(frozen=True, slots=True)
class OpenIDProvider:
    """Who is trusted, for which identity provider and protocol of ours, and who we are there.

    `issuer` is compared letter by letter. `domain` is the id of the domain that its users belong to ("": the identity
    provider's own). An access token counts that was made for one of `audiences`, our client id being one; with
    `own_tokens` also one that was made for others, but given out to our client. `hosts` are those besides the issuer's
    at which its addresses may be, such as `keys.example.com:8443`. Without a secret the client is a public one.
    """

    identity_provider: str
    protocol: str
    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    claim_prefix: str = "OIDC-"
    domain: str = ""
    audiences: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    own_tokens: bool = False

    def may_be_asked(self, url: str) -> bool:
        """Whether an address that the provider told is its own: no word of others sends requests elsewhere."""
        try:
            told, own = urlsplit(url), urlsplit(self.issuer)
            hosts = {_host(own), *(_host(urlsplit(f"{own.scheme}://{host}")) for host in self.hosts)}
            return told.scheme == own.scheme and not told.username and not told.fragment and _host(told) in hosts
        except ValueError:
            return False


def parse_provider(value: Mapping[str, Any], where: str = "provider") -> OpenIDProvider:
    """Raises InvalidError that names the field which is missing, wrong or unknown."""
    allowed = ("client_secret", "scopes", "claim_prefix", "domain", "audiences", "hosts", "own_tokens")
    required = ("identity_provider", "protocol", "issuer", "client_id")
    held = an_object(value, where, required=required, allowed=allowed)
    scopes = _texts(held.get("scopes", ["openid", "email", "profile"]), f"{where}.scopes")
    if "openid" not in scopes or not all(map(_SCOPE.fullmatch, scopes)):
        raise InvalidError(f"{where}.scopes: has no 'openid', or a scope with other signs")
    provider = OpenIDProvider(
        identity_provider=_matching(held["identity_provider"], f"{where}.identity_provider", _NAME),
        protocol=_matching(held["protocol"], f"{where}.protocol", _NAME),
        issuer=_issuer(held["issuer"], f"{where}.issuer"),
        client_id=_filled(held["client_id"], f"{where}.client_id"),
        client_secret=a_text(held.get("client_secret", ""), f"{where}.client_secret"),
        scopes=scopes,
        claim_prefix=_matching(held.get("claim_prefix", "OIDC-"), f"{where}.claim_prefix", _PREFIX),
        domain=a_text(held.get("domain", ""), f"{where}.domain", most=64),
        audiences=_texts(held.get("audiences", []), f"{where}.audiences"),
        hosts=_texts(held.get("hosts", []), f"{where}.hosts"),
        own_tokens=a_flag(held.get("own_tokens", False), f"{where}.own_tokens"),
    )
    for number, host in enumerate(provider.hosts):
        url = f"{urlsplit(provider.issuer).scheme}://{host}"
        if not provider.may_be_asked(url) or urlsplit(url).path:
            raise InvalidError(f"{where}.hosts[{number}]: is no host, with or without a port")
    return provider


def _issuer(value: Any, where: str) -> str:
    text = _filled(value, where)
    wrong = InvalidError(f"{where}: is no https URL without query (http is for loopback addresses only)")
    try:
        url = urlsplit(text)
        host, _ = _host(url)
    except ValueError as error:
        raise wrong from error
    if "?" in text or "#" in text or url.username is not None:
        raise wrong
    if not host or not (url.scheme == "https" or (url.scheme == "http" and _is_loopback(host))):
        raise wrong
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(url: SplitResult) -> tuple[str, int]:
    """Raises ValueError for a port that is none."""
    return (url.hostname or "").lower(), url.port or (443 if url.scheme == "https" else 80)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    entries = an_array(value, where, most=64)
    return tuple(_filled(one, f"{where}[{number}]") for number, one in enumerate(entries))


def _filled(value: Any, where: str) -> str:
    text = a_text(value, where, most=1024)
    if not text or not text.isprintable() or " " in text:
        raise InvalidError(f"{where}: is empty, or has spaces or control characters")
    return text


def _matching(value: Any, where: str, pattern: re.Pattern[str]) -> str:
    text = a_text(value, where)
    if not pattern.fullmatch(text):
        raise InvalidError(f"{where}: has to match {pattern.pattern}")
    return text
