"""One client with one connection, for what wrk cannot send."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from bench.targets import Target


class Client:
    """Asks for paths below the account, one after the other."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.account_url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        self._path = parts.path
        self._headers = {"X-Auth-Token": target.token}

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """The answer, read to its end. What the server has closed since the request before, it is asked anew."""
        try:
            return self._ask(method, path, body, self._headers | (headers or {}))
        except http.client.RemoteDisconnected:
            self._connection.close()
            return self._ask(method, path, body, self._headers | (headers or {}))

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        self._connection.request(method, f"{self._path}/{path}", body=body, headers=headers)
        response = self._connection.getresponse()
        response.read()
        return response

    def close(self) -> None:
        """Let go of the connection; the next request makes a new one."""
        self._connection.close()
