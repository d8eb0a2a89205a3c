"""The stock client between two clouds: keystoneauth's Keystone2Keystone, with us where users are, and pysaml2 at the
other one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from lxml import etree

from authn.saml.elements import PREFIXES
from authn.v3 import IdentityApp
from gateway.http import serve
from gateway.http.asgi import Receive, Scope, Send
from store.core.clock import SystemClock
from tests.authn.conftest import PASSWORD
from tests.saml.conftest import Files, vouching_cloud
from tests.saml.judge import believed, needs_xmlsec1

identity = pytest.importorskip("keystoneauth1.identity.v3")
session = pytest.importorskip("keystoneauth1.session")

pytestmark = [pytest.mark.client, needs_xmlsec1]

AUTH = "/beta/v3/OS-FEDERATION/identity_providers/cloud/protocols/saml2/auth"
ECP = "/beta/Shibboleth.sso/SAML2/ECP"


class ServiceProvider:
    """At `/beta`: takes envelopes, and gives whoever was believed an unscoped token."""

    def __init__(self, base: str, metadata: bytes) -> None:
        self.base = base
        self._metadata = metadata
        self.users: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == ECP:
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message["body"], message.get("more_body", False)
            (response,) = etree.fromstring(body).xpath("/soap:Envelope/soap:Body/*", namespaces=PREFIXES)
            told = believed(self._metadata, etree.tostring(response), f"{self.base}{ECP}")
            self.users += told["openstack_user"]
            await _answer(send, 303, b"", location=AUTH)
            return
        assert scope["path"] == AUTH
        token = {
            "token": {"user": {"name": self.users[-1]}, "methods": ["saml2"], "expires_at": "2999-01-01T00:00:00Z"}
        }
        await _answer(send, 201, json.dumps(token).encode(), **{"x-subject-token": "of beta"})


async def _answer(send: Send, status: int, body: bytes, **headers: str) -> None:
    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    named += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def test_the_stock_plugin_gets_a_token_of_the_other_cloud(files: Files, nursery: trio.Nursery) -> None:
    vouching = await vouching_cloud(nursery, files.config(), SystemClock())
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    base = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    metadata = (await vouching.ask("GET", "/v3/OS-FEDERATION/saml2/metadata")).text
    ours, beta = IdentityApp(vouching.cloud.service), ServiceProvider(base, metadata)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (beta if scope["path"].startswith("/beta/") else ours)(scope, receive, send)

    nursery.start_soon(lambda: serve(app, listeners))
    body = {"service_provider": {"auth_url": f"{base}{AUTH}", "sp_url": f"{base}{ECP}"}}
    assert (await vouching.ask("PATCH", "/v3/OS-FEDERATION/service_providers/beta", body)).status == 200

    def log_in() -> Any:
        here = identity.Password(
            f"{base}/identity/v3",
            username="ann",
            password=PASSWORD,
            user_domain_id="default",
            project_name="quarry",
            project_domain_id="default",
        )
        plugin = identity.Keystone2Keystone(here, "beta")
        return plugin.get_unscoped_auth_ref(session.Session(auth=here))

    found = await trio.to_thread.run_sync(log_in)
    assert (found.auth_token, found.username, beta.users) == ("of beta", "ann", ["ann"])
