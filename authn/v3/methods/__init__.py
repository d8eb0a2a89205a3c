"""The ways to show who one is, a module each. METHODS is what `auth.identity.methods` may name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from authn import federated_login
from authn.tokens import Proof
from authn.v3.call import Call
from authn.v3.methods.application_credential import by_application_credential
from authn.v3.methods.mapped import by_assertion
from authn.v3.methods.oauth1 import by_oauth1
from authn.v3.methods.password import by_password
from authn.v3.methods.token import by_token
from authn.v3.methods.totp import by_totp
from gateway.rest.fields import Fields

Method = Callable[[Call, Fields], Awaitable[Proof]]
"""What is under the method's name in `auth.identity`, in; what that shows, out. Raises UnauthorizedError."""

METHODS: Final[Mapping[str, Method]] = {
    "password": by_password,
    "token": by_token,
    "totp": by_totp,
    "application_credential": by_application_credential,
    "oauth1": by_oauth1,
    **dict.fromkeys(federated_login.METHODS, by_assertion),
}
