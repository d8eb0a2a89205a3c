"""The stock client, a program of its own, against the applications behind our server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import trio

from authn.v1 import V1AuthApp
from authn.v3 import IdentityApp
from gateway.http import serve
from gateway.http.asgi import App, Receive, Scope, Send
from tests.authn.conftest import PASSWORD, Cloud

pytestmark = pytest.mark.client

OPENSTACK = Path(sys.executable).with_name("openstack")


def both(cloud: Cloud) -> App:
    v3, v1 = IdentityApp(cloud.service), V1AuthApp(cloud.service)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (v1 if scope["path"].startswith("/auth/") else v3)(scope, receive, send)

    return app


@pytest.mark.skipif(not OPENSTACK.exists(), reason="the stock client is not installed")
async def test_everyday_commands(cloud: Cloud, nursery: trio.Nursery) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    nursery.start_soon(lambda: serve(both(cloud), listeners))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "OS_AUTH_URL": f"http://127.0.0.1:{port}/identity",
        "OS_USERNAME": "admin",
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_IDENTITY_API_VERSION": "3",
    }
    script = Path(__file__).with_name("stock_commands.txt").read_text()
    process = await trio.run_process(
        [str(OPENSTACK)], env=environment, stdin=script.encode(), capture_stdout=True, capture_stderr=True, check=False
    )
    output = process.stdout.decode() + process.stderr.decode()
    for word in (
        "gAAAA",
        cloud.made.project_id,
        "quarry",
        "ann",
        "reader",
        "object-store",
        f"http://127.0.0.1:{port}/v1/AUTH_",
    ):
        assert word in output, output
    for sign in ("Traceback", "rror", "HTTP 4", "HTTP 5", "No user", "No project", "More than one", "forbidden"):
        assert sign not in output, output
    assert cloud.service.snapshot.users.named(("default", "ann")) is None
    assert cloud.service.snapshot.projects.named(("default", "pit")) is None
