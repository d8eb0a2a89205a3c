"""What ends with a domain: everything in it."""

from __future__ import annotations

from authn import ending, keys
from authn.administration import Administration
from authn.keys import DOMAIN_TARGET
from authn.records import DEFAULT_DOMAIN, DOMAIN, Domain
from authn.records.federation import IDENTITY_PROVIDER
from authn.records.settings import DOMAIN_CONFIG
from authn.rights import Rights
from gateway.rest.errors import ForbiddenError


def refuse_enabled(domain: Domain) -> None:
    """Raises ForbiddenError: a domain that is in use is disabled first, and the first one stays."""
    if domain.enabled:
        raise ForbiddenError("cannot delete a domain that is enabled, please disable it first")
    if domain.id == DEFAULT_DOMAIN:
        raise ForbiddenError("cannot delete the default domain")


async def delete_domain(administration: Administration, id_: str) -> None:
    """Delete what is in the domain, children before parents, and then the domain. After a crash in between the rest is
    still there, disabled, and the same call goes on."""
    snapshot = administration.snapshot
    for provider in [provider for provider in snapshot.identity_providers if provider.domain_id == id_]:
        along = ending.with_identity_provider(snapshot, provider.id)
        await administration.delete(IDENTITY_PROVIDER, lambda snapshot: snapshot.identity_providers, provider.id, along)
    for project in reversed(Rights(snapshot).subtree(id_)):
        await administration.delete_project(project.id)
    for user in [user for user in snapshot.users if user.domain_id == id_]:
        await administration.delete_user(user.id)
    for group in [group for group in snapshot.groups if group.domain_id == id_]:
        await administration.delete_group(group.id)
    for role in [role for role in snapshot.roles if role.domain_id == id_]:
        await administration.delete_role(role.id)
    rest = [keys.assignment(held) for held in snapshot.held.in_target(DOMAIN_TARGET, id_)]
    rest += ending.limits_of_domain(snapshot, id_)
    if snapshot.domain_configs.get(id_) is not None:
        rest.append(keys.record(DOMAIN_CONFIG, id_))
    await administration.delete(DOMAIN, lambda snapshot: snapshot.domains, id_, rest)
