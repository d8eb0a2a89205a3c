"""What works here of a way in through a provider: its records, and what its mapping makes of claims."""

from __future__ import annotations

from collections.abc import Iterator

from authn.errors import ForbiddenError, UnauthorizedError
from authn.federated_login import WayIn, way_in
from authn.federation.claims import assertion_of
from authn.federation.local import LOCAL
from authn.federation.mapped import MappedIdentity
from authn.federation.provider import OpenIDProvider
from authn.federation.provider_checks import Check
from authn.federation.token_checks import Claims
from authn.shadow_users import referred_domain
from authn.snapshot import IdentitySnapshot


def way_checks(snapshot: IdentitySnapshot, provider: OpenIDProvider, claims: Claims | None) -> Iterator[Check]:
    """Records first; then, where there are claims, whom they mean. Nothing is made or changed."""
    broken = _broken_record(snapshot, provider)
    if broken is not None:
        yield broken
        return
    way = way_in(snapshot, provider.identity_provider, provider.protocol)
    yield Check("records", True, f"the protocol {provider.protocol} of {way.provider.id} maps by {way.mapping.id}")
    if claims is None:
        yield Check("mapping", None, "there are no claims to try it with: give some by --claims FILE")
    else:
        yield from _mapping(snapshot, provider, way, claims)


def _broken_record(snapshot: IdentitySnapshot, provider: OpenIDProvider) -> Check | None:
    name, protocol_id = provider.identity_provider, provider.protocol
    what = "records"
    held = snapshot.identity_providers.get(name)
    if held is None:
        command = f"openstack identity provider create {name} --remote-id {provider.issuer}"
        return Check(what, False, f"there is no identity provider {name}", command)
    if not held.enabled:
        command = f"openstack identity provider set --enable {name}"
        return Check(what, False, f"the identity provider {name} is disabled", command)
    protocol = snapshot.protocols.get(f"{name}/{protocol_id}")
    if protocol is None:
        command = f"openstack federation protocol create {protocol_id} --identity-provider {name} --mapping NAME"
        return Check(what, False, f"{name} has no protocol {protocol_id}", command)
    if snapshot.mappings.get(protocol.mapping_id) is None:
        command = f"openstack mapping create {protocol.mapping_id} --rules FILE"
        return Check(what, False, f"there is no mapping {protocol.mapping_id}", command)
    return None


def _mapping(snapshot: IdentitySnapshot, provider: OpenIDProvider, way: WayIn, claims: Claims) -> Iterator[Check]:
    assertion = assertion_of({"iss": provider.issuer, **claims}, provider.claim_prefix)
    try:
        identity = way.mapped(assertion)
    except ForbiddenError as error:
        command = f"openstack identity provider set {way.provider.id} --remote-id {provider.issuer}"
        yield Check("mapping", False, str(error), command)
        return
    except UnauthorizedError as error:
        told = ", ".join(sorted(assertion))
        step = f"compare the conditions ('remote') of the mapping {way.mapping.id} with the attributes: {told}"
        yield Check("mapping", False, str(error), step)
        return
    yield _user(snapshot, provider, way, identity)
    if identity.user.type != LOCAL:
        yield from _places(snapshot, identity)


def _user(snapshot: IdentitySnapshot, provider: OpenIDProvider, way: WayIn, identity: MappedIdentity) -> Check:
    user = identity.user
    if user.type == LOCAL:
        return Check("mapping", True, f"the user {user.id or user.name} who is here already")
    if user.domain is not None:
        domain = referred_domain(snapshot, user.domain)
        asked = user.domain.id or user.domain.name
    else:
        asked = provider.domain or way.provider.domain_id
        domain = snapshot.domains.get(asked)
    if domain is None or not domain.enabled:
        step = f"openstack domain create {asked}, or name another in the mapping"
        return Check("mapping", False, f"the user's domain {asked} does not exist, or is disabled", step)
    return Check("mapping", True, f"the user {user.display_name} in the domain {domain.name}")


def _places(snapshot: IdentitySnapshot, identity: MappedIdentity) -> Iterator[Check]:
    for id_ in identity.group_ids:
        known = snapshot.groups.get(id_)
        step = "" if known else "name one by its id of 'openstack group list', or by name and domain"
        yield Check("group", known is not None, known.name if known else f"there is no group with the id {id_}", step)
    for group in identity.groups:
        domain = referred_domain(snapshot, group.domain)
        there = domain is not None and snapshot.groups.named((domain.id, group.name)) is not None
        said = ": not here, so it is passed over"
        if domain is not None and snapshot.domain_configs.get(domain.id) is not None:
            said = f": not here; if the domain {domain.name} has a directory, that is asked at each login"
        yield Check("group", there or None, group.name + ("" if there else said))
    for project in identity.projects:
        missing = [name for name in project.roles if not _is_role(snapshot, name)]
        said = f"{', '.join(project.roles)} in {project.name}"
        step = f"openstack role create {missing[0]}, or name another in the mapping" if missing else ""
        yield Check("project", not missing, said, step)


def _is_role(snapshot: IdentitySnapshot, name: str) -> bool:
    return any(role.name.casefold() == name.casefold() for role in snapshot.roles)
