"""OAuth 2.0 mutual TLS (RFC 8705, section 2.1; Keystone's `tls_client_auth`): a user's program shows a certificate, and
says whose program it is.

The mapping `oauth2_mapping` makes of the certificate's names what must be so of the user: an id or a name, and where it
says so an email address and a domain. Without that mapping nobody comes in this way. Three things are stricter than in
Keystone: a name alone is meant in the first domain; it counts only for users whose names nobody else can have (those
whom others vouch for are told by their ids); what comes out empty is so of nobody.
"""

from __future__ import annotations

import json
import ssl
from typing import Final

import structlog

from authn.errors import UnauthorizedError
from authn.federated_login import parsed_rules
from authn.federation.certificate import require_valid, subject_and_issuer
from authn.federation.mapped import DomainReference, MappedUser
from authn.federation.mapping import apply
from authn.records import DEFAULT_DOMAIN, Domain, User
from authn.snapshot import IdentitySnapshot
from store.core.errors import InvalidError

_log: Final = structlog.get_logger(__name__)

METHOD: Final = "oauth2_credential"
MAPPING_ID: Final = "oauth2_mapping"


def certified_user(snapshot: IdentitySnapshot, user_id: str, certificate: str, now: float) -> User:
    """The user of this id, if a verified certificate, in PEM, is theirs. `now` is in seconds.

    Raises UnauthorizedError; the log says why, since the answer must not tell who exists.
    """
    der = ssl.PEM_cert_to_DER_cert(certificate)
    require_valid(der, now)  # a connection may outlive it
    mapping = snapshot.mappings.get(MAPPING_ID)
    if mapping is None:
        raise _refused(user_id, f"there is no mapping {MAPPING_ID}")
    try:
        rules = parsed_rules(mapping.rules, mapping.schema_version)
        identity = apply(rules, subject_and_issuer(der), in_full=True)
    except InvalidError as error:
        raise UnauthorizedError(str(error)) from error
    if identity is None:
        raise _refused(user_id, "the mapping makes nobody of the certificate")
    user = snapshot.users.get(user_id)
    domain = snapshot.domains.get(user.domain_id) if user is not None else None
    if user is None or domain is None:
        raise _refused(user_id, "there is no such user")
    differs = _difference(identity.user, user, domain)
    if differs:
        raise _refused(user_id, f"the certificate is of another {differs}")
    if not identity.user.id and user.unique_name is None:
        raise _refused(user_id, "others may have the name, too: the mapping has to make an id")
    return user


def _difference(mapped: MappedUser, user: User, domain: Domain) -> str:
    """What the mapping says of the certificate's user that is not so of `user`."""
    where = mapped.domain or DomainReference("" if mapped.id else DEFAULT_DOMAIN)
    stated = {
        "user id": (mapped.id, user.id),
        "user name": (mapped.name, user.name),
        "email": (mapped.email, json.loads(user.extra).get("email")),
        "domain id": (where.id, domain.id),
        "domain name": (where.name, domain.name),
    }
    return next((name for name, (said, held) in stated.items() if said and said != held), "")


def _refused(user_id: str, reason: str) -> UnauthorizedError:
    _log.info("a client's certificate was refused", client=user_id[:64], reason=reason)
    return UnauthorizedError("Client authentication failed.")
