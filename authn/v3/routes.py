"""Every path of the Identity API, and who answers it."""

from __future__ import annotations

from authn.v3 import (
    access_rules,
    application_credentials,
    authentication,
    domain_config,
    ec2_credentials,
    ec2_tokens,
    federated_auth,
    federation,
    grants,
    oauth1,
    oauth2,
    role_assignments,
    saml2,
    tags,
    trusts,
    versions,
)
from authn.v3.call import Call
from authn.v3.credentials import Credentials
from authn.v3.domains import Domains
from authn.v3.endpoint_filter import EndpointGroups
from authn.v3.groups import Groups
from authn.v3.limits import Limits, RegisteredLimits
from authn.v3.policies import Policies
from authn.v3.projects import Projects
from authn.v3.roles import Roles
from authn.v3.services import Endpoints, Regions, Services
from authn.v3.users import Users
from gateway.rest.app import Routes


def routes() -> Routes[Call]:
    """All of it."""
    return {
        **versions.ROUTES,
        **authentication.ROUTES,
        **Domains().routes(),
        **Projects().routes(),
        **tags.ROUTES,
        **Users().routes(),
        **Groups().routes(),
        **Roles().routes(),
        **grants.routes(),
        "/v3/role_assignments": {"GET": role_assignments.list_assignments},
        **Regions().routes(),
        **Services().routes(),
        **Endpoints().routes(),
        **EndpointGroups().routes(),
        **Policies().routes(),
        **RegisteredLimits().routes(),
        **Limits().routes(),
        **domain_config.ROUTES,
        **federation.routes(),
        **Credentials().routes(),
        **ec2_credentials.ROUTES,
        **application_credentials.ROUTES,
        **access_rules.ROUTES,
        **ec2_tokens.ROUTES,
        **trusts.ROUTES,
        **oauth1.routes(),
        **oauth2.ROUTES,
        **federated_auth.ROUTES,
        **saml2.ROUTES,
    }
