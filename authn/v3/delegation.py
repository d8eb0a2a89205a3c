"""What a delegated token (of a trust, an application credential or OAuth) may not do with its user's credentials.

Delegation gives a part of somebody's rights in one project, for a while. What lets one in again would outlive it, or
reach beyond that project.
"""

from __future__ import annotations

from authn.tokens import Held
from gateway.rest.errors import ForbiddenError


def is_within(held: Held, project_id: str) -> bool:
    """Whether the token reaches a credential for the project. A delegated one reaches its own project's only, and none
    that is for no project, such as a second factor."""
    token = held.token
    if not (token.trust_id or token.application_credential_id or token.access_token_id):
        return True
    return held.project is not None and held.project.id == project_id


def require_within(held: Held, project_id: str) -> None:
    """Raises ForbiddenError unless the token reaches a credential for the project."""
    if not is_within(held, project_id):
        raise ForbiddenError("the credential is not of the project that the delegated token is for")


def require_unrestricted(held: Held) -> None:
    """Raises ForbiddenError for the token of an application credential that may not make or end credentials."""
    credential = held.application_credential
    if held.token.application_credential_id and (credential is None or not credential.unrestricted):
        raise ForbiddenError("a restricted application credential manages no credentials")


def refuse_trusts(held: Held) -> None:
    """Raises ForbiddenError for the token of a trust or of OAuth."""
    if held.token.trust_id or held.token.access_token_id:
        raise ForbiddenError("a token of a trust or of OAuth manages no application credentials")
