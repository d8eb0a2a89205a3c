"""`/v3/domains/{id}/config`: a domain's own settings, such as the directory that its users are in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.responses import Response

from authn import keys
from authn.directory import Step
from authn.domain_configuration import Options, opened, require_sensible
from authn.domain_options import DEFAULTS, SENSITIVE
from authn.records.settings import DOMAIN_CONFIG, DomainConfig
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.call import Call
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError
from store.core.errors import InvalidError, NotFoundError
from store.registry import Compare, Delete


async def show_defaults(call: Call) -> Response:
    """What holds where a domain says nothing."""
    await call.allow("identity:get_domain_config_default")
    group, option = _names(call)
    _check_names(group, option)
    if not group:
        return answer({"config": DEFAULTS})
    if option and option in SENSITIVE.get(group, ()):
        raise ForbiddenError("this option is never told")
    found = DEFAULTS[group]
    return answer({"config": {option: found[option]} if option else {group: found}})


async def put_config(call: Call) -> Response:
    """All settings of the domain, in place of those before."""
    await call.allow("identity:create_domain_config")
    domain_id = call.snapshot.domains.require(call.path("id")).id
    options = _asked((await call.body()).value("config"))
    existed = call.snapshot.domain_configs.get(domain_id) is not None
    await _store(call, domain_id, lambda _: options)
    return answer({"config": _told(options)}, 200 if existed else 201)


async def show_config(call: Call) -> Response:
    """What the domain says, without secrets."""
    group, option = _names(call)
    if group == "security_compliance":
        await call.allow("identity:get_security_compliance_domain_config")
        call.snapshot.domains.require(call.path("id"))
        told = call.service.password_rules
        rules = {
            "password_regex": told.password_regex,
            "password_regex_description": told.password_regex_description,
        }
        if option and option not in rules:
            raise ForbiddenError(f"the option {option} of {group} is not told")
        return answer({"config": {option: rules[option]} if option else {group: rules}})
    await call.allow("identity:get_domain_config")
    domain_id = call.snapshot.domains.require(call.path("id")).id
    _check_names(group, option)
    return answer({"config": _part(_told(_stored(call, domain_id)), domain_id, group, option)})


async def update_config(call: Call) -> Response:
    """Other values for some settings; of a group or one option only what the domain says already is changed."""
    await call.allow("identity:update_domain_config")
    domain_id = call.snapshot.domains.require(call.path("id")).id
    group, option = _names(call)
    _check_names(group, option)
    body = (await call.body()).value("config")
    if option:
        if not isinstance(body, dict) or set(body) != {option}:
            raise InvalidError(f"config: just the option {option}")
        body = {group: body}
    asked = _asked(body)
    if group and set(asked) != {group}:
        raise InvalidError(f"config: just the group {group}")

    def edit(before: Options) -> Options:
        if not before:
            raise NotFoundError(f"Could not find domain configuration for domain {domain_id}.")
        _part(before, domain_id, group, option)
        return {name: {**before.get(name, {}), **asked.get(name, {})} for name in {*before, *asked}}

    return answer({"config": _told(await _store(call, domain_id, edit))})


async def delete_config(call: Call) -> Response:
    """The domain says no more of all, of a group, or of one option."""
    await call.allow("identity:delete_domain_config")
    domain_id = call.snapshot.domains.require(call.path("id")).id
    group, option = _names(call)
    _check_names(group, option)

    def edit(before: Options) -> Options:
        _part(before, domain_id, group, option)
        if not group:
            return {}
        after = {name: dict(options) for name, options in before.items()}
        if option:
            del after[group][option]
        if not option or not after[group]:
            del after[group]
        return after

    await _store(call, domain_id, edit)
    return nothing()


_STEM: Final = "/v3/domains/{id}/config"
_CHANGES: Final = {"GET": show_config, "PATCH": update_config, "DELETE": delete_config}

ROUTES: Final[Routes[Call]] = {
    "/v3/domains/config/default": {"GET": show_defaults},
    "/v3/domains/config/{group}/default": {"GET": show_defaults},
    "/v3/domains/config/{group}/{option}/default": {"GET": show_defaults},
    _STEM: {"PUT": put_config, **_CHANGES},
    f"{_STEM}/{{group}}": _CHANGES,
    f"{_STEM}/{{group}}/{{option}}": _CHANGES,
}


def _names(call: Call) -> tuple[str, str]:
    return call.parts.get("group", ""), call.parts.get("option", "")


def _check_names(group: str, option: str) -> None:
    """Raises ForbiddenError, which stock keystone answers, for a group or an option that no domain has."""
    if group and group not in DEFAULTS:
        raise ForbiddenError(f"the group {group} is not among the settings of domains")
    if option and option not in DEFAULTS[group] and option not in SENSITIVE.get(group, ()):
        raise ForbiddenError(f"the option {option} of {group} is not among the settings of domains")


def _asked(body: Any) -> Options:
    if not isinstance(body, dict) or not body:
        raise InvalidError("config: an object of groups of options, at least one")
    for group, options in body.items():
        if not isinstance(options, dict) or not options:
            raise InvalidError(f"config.{group}: an object of options, at least one")
        for option, value in options.items():
            _check_names(group, option)
            if isinstance(value, dict):
                raise InvalidError(f"config.{group}.{option}: not an object")
    return body


def _stored(call: Call, domain_id: str) -> Options:
    """What the domain says, secrets among it; nothing where it says nothing."""
    config = call.snapshot.domain_configs.get(domain_id)
    return {} if config is None else opened(call.service.vault, config)


def _told(options: Options) -> Options:
    told = {
        group: {name: value for name, value in held.items() if name not in SENSITIVE.get(group, ())}
        for group, held in options.items()
    }
    return {group: held for group, held in told.items() if held}


def _part(options: Options, domain_id: str, group: str, option: str) -> Mapping[str, Any]:
    """What is asked for. Raises NotFoundError where the domain says nothing of it."""
    missing = NotFoundError(
        f"Could not find {f'option {option} in ' if option else ''}{f'group {group} in ' if group else ''}"
        f"domain configuration for domain {domain_id}."
    )
    if not options or (group and group not in options) or (option and option not in options[group]):
        raise missing
    if option:
        return {option: options[group][option]}
    return {group: options[group]} if group else options


async def _store(call: Call, domain_id: str, edit: Callable[[Options], Options]) -> Options:
    """Change what the domain says, in one step."""
    administration = call.service.administration
    if call.snapshot.domain_configs.get(domain_id) is None:
        options = edit({})
        await administration.create(DOMAIN_CONFIG, _table, _packed(call, domain_id, options))
        return options
    if await _emptied(call, domain_id, edit):
        return {}
    made: Options = {}

    def changed(before: DomainConfig) -> DomainConfig:
        made.clear()
        made.update(edit(opened(call.service.vault, before)))
        return _packed(call, domain_id, made)

    await administration.update(DOMAIN_CONFIG, _table, domain_id, changed)
    return made


async def _emptied(call: Call, domain_id: str, edit: Callable[[Options], Options]) -> bool:
    """Delete the record where the change leaves nothing in it: that very record, not what others store meanwhile."""
    key = keys.record(DOMAIN_CONFIG, domain_id)
    emptied = False

    def step(snapshot: IdentitySnapshot) -> Step | None:
        nonlocal emptied
        emptied = not edit(opened(call.service.vault, _table(snapshot).require(domain_id)))
        return Step([Compare.unchanged(key, snapshot.revision(key))], [Delete(key)]) if emptied else None

    await call.service.directory.change(step)
    return emptied


def _table(snapshot: IdentitySnapshot) -> Table[DomainConfig]:
    return snapshot.domain_configs


def _packed(call: Call, domain_id: str, options: Options) -> DomainConfig:
    require_sensible(options)
    secrets = {
        group: {name: value for name, value in held.items() if name in SENSITIVE.get(group, ())}
        for group, held in options.items()
    }
    sealed = call.service.vault.seal(json.dumps(secrets).encode()) if any(secrets.values()) else b""
    return DomainConfig(domain_id, json.dumps(_told(options)), sealed)
