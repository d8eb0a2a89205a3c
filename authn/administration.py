"""Changes of users, projects and roles held: what an administrator does, over HTTP or on the command line."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from authn import ending, keys
from authn.directory import Directory, Step
from authn.hashing import PasswordHasher, check_password
from authn.inactivity import with_activity
from authn.keys import DOMAIN_TARGET, PROJECT_TARGET, USER_ACTOR, Assignment, Link
from authn.password_rules import PasswordRules, with_password
from authn.records import DOMAIN, GROUP, PROJECT, ROLE, USER, Kind, Project, R, Role, User, new_id
from authn.snapshot import ASSIGNMENT_CODEC, LINK_CODEC, IdentitySnapshot
from authn.table import Table
from store.core.clock import Clock, SystemClock
from store.core.entropy import Random
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Delete, Put

USER_NAME_CHARACTERS_MAX: Final = 255
PROJECT_NAME_CHARACTERS_MAX: Final = 64
RECORD_BYTES_MAX: Final = 64 * 1024

_NO_MORE: Final = Step()
CREATED_MAX: Final = 64
"""Records that are made at once: with their names, what one transaction may hold."""

_BATCH: Final = 100
"""Keys that one transaction deletes, well below what one may hold."""


class Administration:
    """Each method does all of it or nothing, and what it did is so when it returns."""

    def __init__(
        self,
        directory: Directory,
        hasher: PasswordHasher,
        random: Random,
        *,
        clock: Clock | None = None,
        rules: PasswordRules | None = None,
    ) -> None:
        """Passwords are free of rules where none are given: those of the first start, and of the command line."""
        self._directory = directory
        self._hasher = hasher
        self._random = random
        self._clock = clock or SystemClock()
        self._rules = rules or PasswordRules()

    @property
    def snapshot(self) -> IdentitySnapshot:
        return self._directory.snapshot

    def new_id(self) -> str:
        return new_id(self._random)

    # -- projects ------------------------------------------------------------------------------------------------

    async def create_project(self, project: Project) -> Project:
        """Raises ConflictError where the name is taken, NotFoundError where its domain is not."""
        _check_name("project", project.name, PROJECT_NAME_CHARACTERS_MAX)
        self.snapshot.domains.require(project.domain_id)
        await self.create(PROJECT, lambda snapshot: snapshot.projects, project)
        return project

    async def update_project(self, id_: str, edit: Callable[[Project], Project]) -> Project:
        """Replaces it by what `edit` makes of it. Disabling ends all tokens for it, for good."""

        def with_epoch(before: Project) -> Project:
            after = edit(before)
            _check_name("project", after.name, PROJECT_NAME_CHARACTERS_MAX)
            return replace(after, epoch=before.epoch + 1) if before.enabled and not after.enabled else after

        return await self.update(PROJECT, lambda snapshot: snapshot.projects, id_, with_epoch)

    async def delete_project(self, id_: str) -> None:
        """It, all roles held in it, and what lets somebody act in it."""
        await self.delete(PROJECT, lambda snapshot: snapshot.projects, id_, ending.with_project(self.snapshot, id_))

    # -- users ---------------------------------------------------------------------------------------------------

    async def create_user(self, user: User, password: str | None) -> User:
        """Without a password nobody can log in as the user. Raises ConflictError where the name is taken, InvalidError
        for a password that is against the rules."""
        _check_name("user", user.name, USER_NAME_CHARACTERS_MAX)
        self.snapshot.domains.require(user.domain_id)
        if password is not None:
            self._rules.require_fit(password)
        if self.snapshot.users.named((user.domain_id, user.name)) is None and password is not None:
            hashed = await self._hasher.hash(password)
            user = with_password(user, hashed, self._rules, self._clock.wall_us(), own=False)
        user = with_activity(user, self._rules, self._clock.wall_us())
        await self.create(USER, lambda snapshot: snapshot.users, user)
        return user

    async def update_user(
        self,
        id_: str,
        edit: Callable[[User], User] = lambda user: user,
        *,
        password: str | None = None,
        own: bool = False,
    ) -> User:
        """Replaces it by what `edit` makes of it. Disabling, and a new password, end all its tokens, for good.

        `own`: the user has set the password. Raises InvalidError for one that is against the rules.
        """
        self.snapshot.users.require(id_)
        hashed = None
        if password is not None:
            check_password(password)
            self._rules.require_fit(password)
            hashed = await self._hasher.hash(password, whose=id_ if own else "")

        def with_epoch(before: User) -> User:
            after = edit(before)
            _check_name("user", after.name, USER_NAME_CHARACTERS_MAX)
            if hashed is not None:
                after = with_password(after, hashed, self._rules, self._clock.wall_us(), own=own)
            ends = hashed is not None or (before.enabled and not after.enabled)
            return replace(after, epoch=before.epoch + 1) if ends else after

        return await self.update(USER, lambda snapshot: snapshot.users, id_, with_epoch)

    async def delete_user(self, id_: str) -> None:
        """It, all roles that it holds, its places in groups, and what lets anybody act as it."""
        await self.delete(USER, lambda snapshot: snapshot.users, id_, ending.with_user(self.snapshot, id_))

    # -- groups and roles ----------------------------------------------------------------------------------------

    async def delete_group(self, id_: str) -> None:
        """It, all roles that it holds, and its members' places in it."""
        await self.delete(GROUP, lambda snapshot: snapshot.groups, id_, ending.with_group(self.snapshot, id_))

    async def delete_role(self, id_: str) -> None:
        """It, wherever it is held or implied: at once, since a role that is gone is passed over where it is named."""
        await self.delete(ROLE, lambda snapshot: snapshot.roles, id_, ending.with_role(self.snapshot, id_))
        for role in [role for role in self.snapshot.roles if id_ in role.implies]:
            await self.update(ROLE, lambda snapshot: snapshot.roles, role.id, lambda before: _without(before, id_))

    # -- roles held ----------------------------------------------------------------------------------------------

    async def assign(self, held: Assignment) -> None:
        """The actor holds the role in the target. Does nothing where that is so already."""

        def step(snapshot: IdentitySnapshot) -> Step:
            needed = _named(snapshot, held)
            key = keys.assignment(held)
            if snapshot.revision(key):
                return Step([Compare.exists(key)])  # others may have taken it away a moment ago
            return Step([Compare.exists(one) for one in needed], [Put(key, ASSIGNMENT_CODEC.encode(None))])

        await self._directory.change(step)

    async def unassign(self, held: Assignment) -> None:
        """The actor no longer holds the role in the target. Raises NotFoundError where that was not so."""

        def step(snapshot: IdentitySnapshot) -> Step:
            _named(snapshot, held)
            key = keys.assignment(held)
            if not snapshot.revision(key):
                raise NotFoundError(f"Could not find role assignment with role: {held.role_id}.")
            return Step([Compare.exists(key)], [Delete(key)])

        await self._directory.change(step)

    # -- what belongs together -----------------------------------------------------------------------------------

    async def link(self, held: Link, one: bytes, other: bytes) -> None:
        """The two records, whose keys are `one` and `other`, belong together. Does nothing where that is so already."""

        def step(snapshot: IdentitySnapshot) -> Step:
            key = keys.link(held)
            if snapshot.revision(key):
                return Step([Compare.exists(key)])
            return Step([Compare.exists(one), Compare.exists(other)], [Put(key, LINK_CODEC.encode(None))])

        await self._directory.change(step)

    async def unlink(self, held: Link, missing: str) -> None:
        """They no longer belong together. Raises NotFoundError, saying `missing`, where they did not."""

        def step(snapshot: IdentitySnapshot) -> Step:
            key = keys.link(held)
            if not snapshot.revision(key):
                raise NotFoundError(missing)
            return Step([Compare.exists(key)], [Delete(key)])

        await self._directory.change(step)

    # -- any kind of record --------------------------------------------------------------------------------------

    async def create(
        self, kind: Kind[R], table: Callable[[IdentitySnapshot], Table[R]], record: R, also: Step = _NO_MORE
    ) -> None:
        """Stores a new record under an id and a name that nobody has; `also`: what else is asked and done at once."""
        await self.create_all([(kind, record)], also)

    async def create_all(self, new: Sequence[tuple[Kind[Any], Any]], also: Step = _NO_MORE) -> None:
        """Stores new records of any kinds, `CREATED_MAX` at most, all or none. Raises ConflictError."""
        packed = {keys.record(kind, record.id): _packed(kind, record) for kind, record in new}

        def step(snapshot: IdentitySnapshot) -> Step:
            puts: dict[bytes, bytes] = {}
            for kind, record in new:
                key, names = keys.record(kind, record.id), _names(kind, record)
                if snapshot.revision(key):
                    said = f"Duplicate ID {record.id}"
                    raise ConflictError(f"Conflict occurred attempting to store {kind.name} - {said}.")
                _refuse_taken(snapshot, kind, names, puts)
                puts |= {key: packed[key], **dict.fromkeys(names, record.id.encode())}
            return Step(
                [*map(Compare.absent, puts), *also.compares],
                [*(Put(key, value) for key, value in puts.items()), *also.operations],
            )

        await self._directory.change(step)

    async def update(
        self, kind: Kind[R], table: Callable[[IdentitySnapshot], Table[R]], id_: str, edit: Callable[[R], R]
    ) -> R:
        """Replaces a record, and its name with it."""
        key = keys.record(kind, table(self.snapshot).require(id_).id)
        made: R | None = None

        def step(snapshot: IdentitySnapshot) -> Step:
            nonlocal made
            before = table(snapshot).require(id_)
            made = after = edit(before)
            if after == before:
                return Step([Compare.unchanged(key, snapshot.revision(key))])  # it is acknowledged, so it must be so
            packed = _packed(kind, after)
            former, names = _names(kind, before), _names(kind, after)
            new = {name: said for name, said in names.items() if name not in former}
            _refuse_taken(snapshot, kind, new)
            return Step(
                [Compare.unchanged(key, snapshot.revision(key)), *map(Compare.absent, new)],
                [
                    Put(key, packed),
                    *(Put(name, id_.encode()) for name in new),
                    *(Delete(name) for name in former if name not in names),
                ],
            )

        await self._directory.change(step)
        assert made is not None
        return made

    async def delete(
        self, kind: Kind[R], table: Callable[[IdentitySnapshot], Table[R]], id_: str, along: Iterable[bytes] = ()
    ) -> None:
        """Removes a record; then, in as many steps as it takes, the keys that have no meaning without it."""
        key = keys.record(kind, table(self.snapshot).require(id_).id)
        rest = list(along)
        first, rest = rest[:_BATCH], rest[_BATCH:]

        def step(snapshot: IdentitySnapshot) -> Step:
            record = table(snapshot).require(id_)
            compares = [Compare.unchanged(key, snapshot.revision(key))]
            return Step(compares, [Delete(gone) for gone in (key, *_names(kind, record), *first)])

        await self._directory.change(step)
        for start in range(0, len(rest), _BATCH):
            await self._delete_keys(rest[start : start + _BATCH])

    async def _delete_keys(self, gone: Sequence[bytes]) -> None:
        await self._directory.change(lambda _: Step((), [Delete(key) for key in gone]))


def _without(role: Role, implied: str) -> Role:
    return replace(role, implies=tuple(id_ for id_ in role.implies if id_ != implied))


def _named(snapshot: IdentitySnapshot, held: Assignment) -> list[bytes]:
    """The keys of the records that an assignment names. Raises NotFoundError where one does not exist."""
    actor = snapshot.users if held.actor == USER_ACTOR else snapshot.groups
    needed = [keys.record(actor.kind, actor.require(held.actor_id).id)]
    if held.target == PROJECT_TARGET:
        needed.append(keys.record(PROJECT, snapshot.projects.require(held.target_id).id))
    elif held.target == DOMAIN_TARGET:
        needed.append(keys.record(DOMAIN, snapshot.domains.require(held.target_id).id))
    needed.append(keys.record(ROLE, snapshot.roles.require(held.role_id).id))
    return needed


def _names(kind: Kind[R], record: R) -> dict[bytes, str]:
    """The keys that no other record may have, and how each is told."""
    found: dict[bytes, str] = {}
    if record.unique_name is not None:
        domain, name = record.unique_name
        found[keys.name(kind, record.unique_name)] = f"name {name}" + (f" at domain ID {domain}" if domain else "")
    if isinstance(record, User):
        found |= {keys.federated(held): f"federated identity {'/'.join(held)}" for held in record.federated}
    return found


def _refuse_taken(
    snapshot: IdentitySnapshot, kind: Kind[R], names: Mapping[bytes, str], others: Container[bytes] = ()
) -> None:
    """Raises ConflictError where a record has one of them, or it is among `others`."""
    for name, said in names.items():
        if snapshot.revision(name) or name in others:
            raise ConflictError(
                f"Conflict occurred attempting to store {kind.name} - Duplicate entry found with {said}."
            )


def _check_name(noun: str, name: str, characters_max: int) -> None:
    if not name.strip() or len(name) > characters_max:
        raise InvalidError(f"The name of a {noun} has 1 to {characters_max} characters, and not only blanks.")
    if any(ord(character) < 0x20 or 0xD800 <= ord(character) < 0xE000 for character in name):
        raise InvalidError(f"The name of a {noun} is printable text.")


def _packed(kind: Kind[R], record: R) -> bytes:
    try:
        packed = kind.codec.encode(record)
    except UnicodeEncodeError as error:
        raise InvalidError("Not text.") from error
    if len(packed) > RECORD_BYTES_MAX:
        raise InvalidError(f"A {kind.name} takes at most {RECORD_BYTES_MAX} bytes.")
    return packed
