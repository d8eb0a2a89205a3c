"""Application credentials and their access rules, as they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from authn import keys
from authn.administration import Administration
from authn.directory import Directory, Step
from authn.errors import ForbiddenError
from authn.hashing import PasswordHasher
from authn.records.credentials import ACCESS_RULE, APPLICATION_CREDENTIAL, AccessRule, ApplicationCredential
from authn.snapshot import IdentitySnapshot
from store.registry import Compare, Delete, Put


class ApplicationCredentials:
    """Each method does all of it or nothing."""

    def __init__(self, directory: Directory, administration: Administration, hasher: PasswordHasher) -> None:
        self._directory = directory
        self._administration = administration
        self._hasher = hasher

    async def create(
        self, credential: ApplicationCredential, secret: str, rules: Sequence[AccessRule]
    ) -> ApplicationCredential:
        """Store the credential, of `secret` only a hash, and with it those of its rules that are not stored yet.

        Raises InvalidError for what can be no secret, ConflictError where the name is taken.
        """
        snapshot = self._directory.snapshot
        credential = replace(
            credential,
            secret_hash=await self._hasher.hash(secret, whose=credential.user_id),
            access_rule_ids=tuple(rule.id for rule in rules),
        )
        # Rules that are there are written again, so that whoever takes one away at the same time looks again.
        also = Step(
            [Compare.exists(_key(rule)) for rule in rules if snapshot.access_rules.get(rule.id) is not None],
            [Put(_key(rule), ACCESS_RULE.codec.encode(rule)) for rule in rules],
        )
        await self._administration.create(
            APPLICATION_CREDENTIAL, lambda snapshot: snapshot.application_credentials, credential, also
        )
        return credential

    async def delete(self, id_: str) -> None:
        """The credential; its tokens stand for nothing from now on. Its rules stay."""
        await self._administration.delete(
            APPLICATION_CREDENTIAL, lambda snapshot: snapshot.application_credentials, id_
        )

    async def delete_rule(self, id_: str) -> None:
        """Raises ForbiddenError where a credential has the rule."""

        def step(snapshot: IdentitySnapshot) -> Step:
            key = _key(snapshot.access_rules.require(id_))
            if any(id_ in credential.access_rule_ids for credential in snapshot.application_credentials):
                raise ForbiddenError("May not delete access rule in use")
            return Step([Compare.unchanged(key, snapshot.revision(key))], [Delete(key)])

        await self._directory.change(step)


def _key(rule: AccessRule) -> bytes:
    return keys.record(ACCESS_RULE, rule.id)
