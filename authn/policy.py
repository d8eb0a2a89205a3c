"""Who may do what with identity: the table, and the rules with a name that its checks use.

The defaults are stock keystone's (its sample policy, release 2026.1): administrators do everything, readers of the
system see everything, managers of a domain look after the people in it, everybody sees themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.rest.policy import Operation, Policy

SYSTEM_OR_PROJECT: Final = ("system", "project")

RULES: Final = {
    "admin_required": "role:admin",
    "service_role": "role:service",
    "service_or_admin": "rule:admin_required or rule:service_role",
    "owner": "user_id:%(user_id)s",
    "admin_or_owner": "rule:admin_required or rule:owner",
    "token_subject": "user_id:%(target.token.user_id)s",
    "system_reader": "role:reader and system_scope:all",
    "admin_or_system_reader": "rule:admin_required or rule:system_reader",
    "domain_managed_target_role": (
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s"
    ),
}

_READ: Final = "rule:admin_or_system_reader"
_WRITE: Final = "rule:admin_required"

ADMINISTERED: Final = (
    # the nouns of what administrators change and readers of the system see: one, many
    ("service", "services"),
    ("endpoint", "endpoints"),
    ("endpoint_group", "endpoint_groups"),
    ("identity_provider", "identity_providers"),
    ("mapping", "mappings"),
    ("protocol", "protocols"),
    ("service_provider", "service_providers"),
    ("policy", "policies"),
    ("consumer", "consumers"),
    ("domain_role", "domain_roles"),
)

READS: Final = (
    "get_implied_role",
    "list_implied_roles",
    "list_role_inference_rules",
    "check_implied_role",
    "get_domain_config",
    "get_domain_config_default",
    "list_projects_associated_with_endpoint_group",
    "list_endpoints_associated_with_endpoint_group",
    "get_endpoint_group_in_project",
    "list_endpoint_groups_for_project",
    "list_projects_for_endpoint",
    "check_endpoint_in_project",
    "list_endpoints_for_project",
    "list_system_grants_for_user",
    "check_system_grant_for_user",
    "list_system_grants_for_group",
    "check_system_grant_for_group",
    "list_trusts",
)

WRITES: Final = (
    "create_implied_role",
    "delete_implied_role",
    "create_domain",
    "update_domain",
    "delete_domain",
    "create_domain_config",
    "update_domain_config",
    "delete_domain_config",
    "add_endpoint_group_to_project",
    "remove_endpoint_group_from_project",
    "add_endpoint_to_project",
    "remove_endpoint_from_project",
    "create_system_grant_for_user",
    "revoke_system_grant_for_user",
    "create_system_grant_for_group",
    "revoke_system_grant_for_group",
    "create_region",
    "update_region",
    "delete_region",
    "create_role",
    "update_role",
    "delete_role",
    "create_registered_limits",
    "update_registered_limit",
    "delete_registered_limit",
    "create_limits",
    "update_limit",
    "delete_limit",
)

_USER_HERE: Final = "domain_id:%(target.user.domain_id)s"
_GROUP_HERE: Final = "domain_id:%(target.group.domain_id)s"
_PROJECT_HERE: Final = "domain_id:%(target.project.domain_id)s"
_ROLE_HERE: Final = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"

_GRANT_PLACES: Final = " or ".join(
    f"({actor} and {place})"
    for actor in (_USER_HERE, _GROUP_HERE)
    for place in (_PROJECT_HERE, "domain_id:%(target.domain.id)s")
)
_CREDENTIAL_OWNER: Final = "user_id:%(target.credential.user_id)s"
_TRUSTOR: Final = "user_id:%(target.trust.trustor_user_id)s"
_TRUSTEE: Final = "user_id:%(target.trust.trustee_user_id)s"

CHECKS: Final[Mapping[str, str]] = {
    # domains and projects
    "get_domain": f"{_READ} or domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s",
    "list_domains": f"{_READ} or (role:reader and domain_id:%(target.domain.id)s)",
    "get_project": f"{_READ} or (role:reader and {_PROJECT_HERE}) or project_id:%(target.project.id)s",
    "list_projects": f"{_READ} or (role:reader and {_PROJECT_HERE})",
    "list_user_projects": f"{_READ} or (role:reader and {_USER_HERE}) or user_id:%(target.user.id)s",
    **dict.fromkeys(
        ("list_project_tags", "get_project_tag"),
        f"{_READ} or (role:reader and {_PROJECT_HERE}) or project_id:%(target.project.id)s",
    ),
    **dict.fromkeys(
        (
            "create_project",
            "update_project",
            "delete_project",
            "update_project_tags",
            "create_project_tag",
            "delete_project_tags",
            "delete_project_tag",
        ),
        f"{_WRITE} or (role:manager and {_PROJECT_HERE} and not None:%(target.project.domain_id)s)",
    ),
    # users and groups
    "get_user": f"{_READ} or (role:reader and {_USER_HERE}) or user_id:%(target.user.id)s",
    "list_users": f"{_READ} or (role:reader and {_USER_HERE})",
    **dict.fromkeys(("create_user", "update_user", "delete_user"), f"{_WRITE} or (role:manager and {_USER_HERE})"),
    **dict.fromkeys(("get_group", "list_groups", "list_users_in_group"), f"{_READ} or (role:reader and {_GROUP_HERE})"),
    "list_groups_for_user": f"{_READ} or (role:reader and {_USER_HERE}) or user_id:%(target.user.id)s",
    **dict.fromkeys(("create_group", "update_group", "delete_group"), f"{_WRITE} or (role:manager and {_GROUP_HERE})"),
    "check_user_in_group": f"{_READ} or (role:reader and {_GROUP_HERE} and {_USER_HERE})",
    **dict.fromkeys(
        ("add_user_to_group", "remove_user_from_group"),
        f"{_WRITE} or (role:manager and {_GROUP_HERE} and {_USER_HERE})",
    ),
    # roles, and who holds them
    "get_role": f"{_READ} or (role:manager and rule:domain_managed_target_role)",
    "list_roles": f"{_READ} or (role:manager and not domain_id:None)",
    "list_role_assignments": f"{_READ} or (role:reader and domain_id:%(target.domain_id)s)",
    "list_role_assignments_for_tree": f"{_READ} or (role:reader and domain_id:%(target.domain_id)s)",
    "check_grant": f"{_READ} or (role:reader and ({_GRANT_PLACES}) and {_ROLE_HERE})",
    "list_grants": f"{_READ} or (role:reader and ({_GRANT_PLACES}))",
    **dict.fromkeys(
        ("create_grant", "revoke_grant"),
        f"{_WRITE} or (role:admin and ({_GRANT_PLACES}) and {_ROLE_HERE})"
        f" or (role:manager and ({_GRANT_PLACES}) and rule:domain_managed_target_role)",
    ),
    # what is there for everybody who has a token
    **dict.fromkeys(
        (
            "get_region",
            "list_regions",
            "get_registered_limit",
            "list_registered_limits",
            "get_limit_model",
            "get_security_compliance_domain_config",
            "get_auth_catalog",
            "get_auth_projects",
            "get_auth_domains",
            "get_auth_system",
        ),
        "",
    ),
    **dict.fromkeys(
        ("get_limit", "list_limits"),
        f"{_READ} or (domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s) or"
        " (project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)",
    ),
    # tokens
    "check_token": f"{_READ} or rule:service_role or rule:token_subject",
    "validate_token": f"{_READ} or rule:service_role or rule:token_subject",
    "revoke_token": f"{_WRITE} or rule:token_subject",
    "list_revoke_events": "rule:service_or_admin",
    # credentials of every kind
    **dict.fromkeys(("get_credential", "list_credentials"), f"{_READ} or {_CREDENTIAL_OWNER}"),
    **dict.fromkeys(
        ("create_credential", "update_credential", "delete_credential"), f"{_WRITE} or {_CREDENTIAL_OWNER}"
    ),
    "ec2_get_credential": f"{_READ} or {_CREDENTIAL_OWNER}",
    "ec2_list_credentials": f"{_READ} or rule:owner",
    **dict.fromkeys(
        ("ec2_create_credential", "ec2_delete_credential"), f"{_WRITE} or (role:member and {_CREDENTIAL_OWNER})"
    ),
    **dict.fromkeys(("ec2tokens_validate", "s3tokens_validate"), "rule:service_or_admin"),
    **dict.fromkeys(("get_application_credential", "list_application_credentials"), f"{_READ} or rule:owner"),
    "create_application_credential": "rule:owner",
    "delete_application_credential": "rule:admin_or_owner",
    **dict.fromkeys(("get_access_rule", "list_access_rules"), "rule:system_reader or user_id:%(target.user.id)s"),
    "delete_access_rule": "(role:admin and system_scope:all) or user_id:%(target.user.id)s",
    # trusts, OAuth 1.0a
    "create_trust": _TRUSTOR,
    "list_trusts_for_trustor": f"{_READ} or {_TRUSTOR}",
    "list_trusts_for_trustee": f"{_READ} or {_TRUSTEE}",
    **dict.fromkeys(
        ("get_trust", "list_roles_for_trust", "get_role_for_trust"), f"{_READ} or {_TRUSTOR} or {_TRUSTEE}"
    ),
    "delete_trust": f"{_WRITE} or {_TRUSTOR}",
    **dict.fromkeys(
        (
            "authorize_request_token",
            "get_access_token",
            "get_access_token_role",
            "list_access_tokens",
            "list_access_token_roles",
            "delete_access_token",
        ),
        _WRITE,
    ),
}

EVERY_SCOPE: Final = frozenset(
    name
    for name in CHECKS
    if not name.startswith(("ec2_", "list_revoke", "list_trusts", "list_roles_for_trust", "get_role_for_trust"))
    and not name.endswith(("trust", "application_credential", "application_credentials", "access_rule", "access_rules"))
    and "access_token" not in name
    and name != "authorize_request_token"
)

PROJECT_ONLY: Final = frozenset(
    {
        "create_application_credential",
        "create_trust",
        "authorize_request_token",
        "get_access_token",
        "get_access_token_role",
        "list_access_tokens",
        "list_access_token_roles",
        "delete_access_token",
    }
)


def operations() -> Iterator[Operation]:
    """The table, in stock keystone's names."""
    checks = dict(CHECKS)
    checks |= dict.fromkeys(READS, _READ) | dict.fromkeys(WRITES, _WRITE)
    for one, many in ADMINISTERED:
        checks |= {f"get_{one}": _READ, f"list_{many}": _READ}
        checks |= {f"{verb}_{one}": _WRITE for verb in ("create", "update", "delete")}
    for name, check in sorted(checks.items()):
        scopes: tuple[str, ...] = ("project",) if name in PROJECT_ONLY else SYSTEM_OR_PROJECT
        if name in EVERY_SCOPE:
            scopes = ("system", "domain", "project")
        yield Operation(f"identity:{name}", check, scopes)


def identity_policy(overrides: Mapping[str, str] | None = None) -> Policy:
    """The policy of identity, with an operator's changes. Raises InvalidError for what is not understood."""
    return Policy(operations(), RULES, overrides)
