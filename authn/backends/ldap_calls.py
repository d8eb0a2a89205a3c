"""What is said to a directory: blocking calls of libldap for worker threads. They raise ldap.LDAPError, and end when
the other side of their socket is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import ldap
from ldap.controls import SimplePagedResultsControl

from authn.backends.ldap_options import LdapOptions

Connection = Any
"""One of libldap's. Used by one thread at a time; it closes when nobody holds it any more."""

BASE: Final[int] = ldap.SCOPE_BASE
ONE: Final[int] = ldap.SCOPE_ONELEVEL
SUBTREE: Final[int] = ldap.SCOPE_SUBTREE

_DEREFERENCING: Final = {
    "never": ldap.DEREF_NEVER,
    "searching": ldap.DEREF_SEARCHING,
    "finding": ldap.DEREF_FINDING,
    "always": ldap.DEREF_ALWAYS,
}
_CERTIFICATES: Final = {
    "demand": ldap.OPT_X_TLS_DEMAND,
    "allow": ldap.OPT_X_TLS_ALLOW,
    "never": ldap.OPT_X_TLS_NEVER,
}
_REFUSALS: Final = (
    ldap.INVALID_CREDENTIALS,
    ldap.INAPPROPRIATE_AUTH,  # the entry has no password
    ldap.CONSTRAINT_VIOLATION,  # a policy of the directory: tried too often
    ldap.INSUFFICIENT_ACCESS,
    ldap.UNWILLING_TO_PERFORM,  # locked, or its password is to be changed first
    ldap.NO_SUCH_OBJECT,  # gone since it was looked up
)


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for: the filter is one in parentheses, with every value in it escaped."""

    base: str
    scope: int
    filter: str
    attributes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: its DN, and values by names of attributes in lower case."""

    dn: str
    values: Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what was found. `cookie` asks for the next page (empty: there is none); `cut`: there was more, which is
    not told."""

    entries: Sequence[Entry] = field(default_factory=tuple)
    cookie: bytes = b""
    cut: bool = False


def wrap(options: LdapOptions, url: str, descriptor: int) -> Connection:
    """Give libldap a connected socket, which becomes its own. Nothing is said yet.

    It speaks as it is asked to, never TLS by itself: `url` has the name that a certificate for `start_tls` is to be
    for. What ldaps:// asks for is to be around the socket.
    """
    connection = ldap.initialize(url, fileno=descriptor)
    connection.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
    if options.alias_dereferencing in _DEREFERENCING:
        connection.set_option(ldap.OPT_DEREF, _DEREFERENCING[options.alias_dereferencing])
    return connection


def start_tls(connection: Connection, options: LdapOptions) -> None:
    """StartTLS (RFC 4511, 4.14)."""
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, _CERTIFICATES[options.tls_req_cert])
    if options.tls_cacertfile:
        connection.set_option(ldap.OPT_X_TLS_CACERTFILE, options.tls_cacertfile)
    elif options.tls_cacertdir:
        connection.set_option(ldap.OPT_X_TLS_CACERTDIR, options.tls_cacertdir)
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # now, and with what was set above
    connection.start_tls_s()


def bind(connection: Connection, dn: str, password: str) -> None:
    """Become who the DN says; without one, nobody."""
    connection.simple_bind_s(dn, password)


def judge(connection: Connection, dn: str, password: str) -> bool:
    """Whether the password is that entry's."""
    if not dn or not password:
        return False  # such a bind "succeeds": as nobody (RFC 4513, 5.1.2)
    try:
        connection.simple_bind_s(dn, password)
    except _REFUSALS:
        return False
    return True


def page(connection: Connection, search: Search, size: int, cookie: bytes, most: int) -> Page:
    """The first page, or that of the cookie. `size` 0: all at once.

    Not much more than `most` entries are taken in: a page that is `cut` may leave more under way, and the connection is
    of no more use.
    """
    controls = [SimplePagedResultsControl(True, size=size, cookie=cookie)] if size else []
    asked = connection.search_ext(search.base, search.scope, search.filter, search.attributes, serverctrls=controls)
    entries: list[Entry] = []
    while True:
        try:
            kind, found, _, answered = connection.result3(asked, all=0)
        except (ldap.NO_SUCH_OBJECT, ldap.REFERRAL):  # nothing is there, or it is in another directory
            return Page()
        except ldap.SIZELIMIT_EXCEEDED:
            return Page(entries, cut=True)
        if kind == ldap.RES_SEARCH_RESULT:
            return Page(entries, _next_cookie(answered))
        # An entry, or a reference to another directory, which has no DN and is not followed.
        entries += [Entry(dn, {name.lower(): values for name, values in told.items()}) for dn, told in found if dn]
        if len(entries) > most:
            return Page(entries, cut=True)


def _next_cookie(controls: Sequence[Any]) -> bytes:
    cookies = [each.cookie for each in controls if each.controlType == SimplePagedResultsControl.controlType]
    return cookies[0] or b"" if cookies else b""
