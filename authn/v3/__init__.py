"""Keystone's API, version 3, as an ASGI application on Starlette's requests and responses: `app.IdentityApp`."""

from authn.v3.app import IdentityApp

__all__ = ["IdentityApp"]
