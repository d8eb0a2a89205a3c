"""Makes the back end that a domain's configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authn.backends.backend import IdentityBackend
from authn.backends.ldap_options import LdapOptions
from store.core.errors import InvalidError

LDAP: Final = "ldap"
"""What the option `driver` of the section [identity] says for a directory."""


def open_backend(domain_id: str, driver: str, options: Mapping[str, object]) -> IdentityBackend:
    """The back end of a domain; `options` are those of the driver's section. Nothing is asked of it yet.

    Raises InvalidError: for a driver or an option that is not known, and for a driver that is not installed.
    """
    if driver != LDAP:
        raise InvalidError(f"there is no identity driver {driver!r} (there is: {LDAP})")
    parsed = LdapOptions.parse(options)
    try:
        from authn.backends.ldap import LdapBackend  # here alone: libldap need not be there
    except ImportError as error:
        raise InvalidError(
            f"the identity driver ldap needs the package python-ldap ({error}): install gcc, python3-dev, libldap-dev "
            "and libsasl2-dev, then pip install 'drystone[ldap]'"
        ) from error
    return LdapBackend(domain_id, parsed)
