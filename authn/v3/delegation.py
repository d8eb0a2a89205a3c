"""What a delegated token (of a trust, an application credential or OAuth) may not do with its user's credentials.

Delegation gives a part of somebody's rights in one project, for a while. What lets one in again would outlive it, or
reach beyond that project.
"""

from __future__ import annotations

from authn import ec2, totp
from authn.records.credentials import Credential
from authn.tokens import Held
from authn.vault import Vault
from gateway.rest.errors import ForbiddenError


def delegation(held: Held) -> dict[str, str]:
    """What the blob of an EC2 credential says of the delegated token that it was made with."""
    token = held.token
    ids = (token.trust_id, token.application_credential_id, token.access_token_id)
    return {name: id_ for name, id_ in zip(ec2.DELEGATIONS, ids, strict=True) if id_}


def reaches(held: Held, record: Credential, vault: Vault) -> bool:
    """Whether the token sees the credential and may change it. A delegated one reaches its own project's only, no
    second factor, and of those that sign requests those that give no more than it does itself."""
    own = delegation(held)
    if not own:
        return True
    if not _may_hold(held, record.project_id, record.type):
        return False
    if record.type.lower() != ec2.EC2:
        return True
    blob = ec2.read_object(vault.open(record.sealed).decode())
    return {name: blob[name] for name in ec2.DELEGATIONS if blob.get(name)} == own


def require_reach(held: Held, record: Credential, vault: Vault) -> None:
    """Raises ForbiddenError unless the token reaches the credential."""
    if not reaches(held, record, vault):
        raise ForbiddenError("the credential is not of what the delegated token is for")


def require_within(held: Held, project_id: str, type_: str) -> None:
    """Raises ForbiddenError where the token may make no such credential."""
    if delegation(held) and not _may_hold(held, project_id, type_):
        raise ForbiddenError("the credential is not of what the delegated token is for")


def _may_hold(held: Held, project_id: str, type_: str) -> bool:
    # A passcode is good for a login as the whole user, whatever project its secret is said to be for.
    return held.project is not None and held.project.id == project_id and type_.lower() != totp.TYPE


def require_unrestricted(held: Held) -> None:
    """Raises ForbiddenError for the token of an application credential that may not make or end credentials."""
    credential = held.application_credential
    if held.token.application_credential_id and (credential is None or not credential.unrestricted):
        raise ForbiddenError("a restricted application credential manages no credentials")


def refuse_trusts(held: Held) -> None:
    """Raises ForbiddenError for the token of a trust or of OAuth."""
    if held.token.trust_id or held.token.access_token_id:
        raise ForbiddenError("a token of a trust or of OAuth manages no application credentials")
