"""Asking a provider over HTTP: only where it is known to be, following it nowhere else, in bounded time and size."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

import httpx
import trio

from authn.federation.provider import OpenIDProvider
from store.core.errors import RetryableError

ANSWER_SECONDS: Final = 10.0
"""For one question, from connecting to the last byte."""
ANSWER_BYTES_MAX: Final = 256 * 1024


class ProviderAwayError(RetryableError):
    """The identity provider gave no answer that is of use; says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON object that came with it, an empty one where none did."""

    status: int
    body: dict[str, Any]


@asynccontextmanager
async def provider_connections(tls: ssl.SSLContext | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """What providers are asked over: no proxy of the environment's, no redirects, no cookies kept between questions.
    `tls` says whose certificates are believed; without it those that the system believes."""
    async with httpx.AsyncClient(verify=tls or ssl.create_default_context(), trust_env=False) as http:
        yield http


class ProviderHttp:
    """One provider's answers. Everything raises ProviderAwayError where there is none."""

    def __init__(self, provider: OpenIDProvider, http: httpx.AsyncClient) -> None:
        self._provider = provider
        self._http = http

    async def get(self, url: str, bearer: str = "") -> Answer:
        """With an access token of a user, where given."""
        return await self._ask("GET", url, {"Authorization": f"Bearer {bearer}"} if bearer else {}, None)

    async def post(self, url: str, form: Mapping[str, str], *, secret_in_body: bool = False) -> Answer:
        """A form, as our client: with its secret by Basic authentication (RFC 6749, section 2.3.1), or in the form."""
        provider = self._provider
        if not provider.client_secret:
            return await self._ask("POST", url, {}, {**form, "client_id": provider.client_id})
        if secret_in_body:
            named = {"client_id": provider.client_id, "client_secret": provider.client_secret}
            return await self._ask("POST", url, {}, {**form, **named})
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
        return await self._ask("POST", url, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}, form)

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> Answer:
        if not self._provider.may_be_asked(url):
            raise self._away("an address at a host that is not the provider's")
        # Packed answers would be bounded only once they are unpacked.
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        try:
            request = self._http.build_request(method, url, headers=asked, data=form, timeout=ANSWER_SECONDS)
            with trio.fail_after(ANSWER_SECONDS):
                response = await self._http.send(request, stream=True, follow_redirects=False)
                async with aclosing(response):
                    content = await self._content(response)
        except trio.TooSlowError as error:
            raise self._away(f"no answer within {ANSWER_SECONDS:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._away(_said(error)) from error
        if response.status_code >= 500 or response.status_code in (404, 408, 429) or response.has_redirect_location:
            raise self._away(f"answered with status {response.status_code}")
        return Answer(response.status_code, self._object(content, response.is_success))

    async def _content(self, response: httpx.Response) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self._away("a packed answer that was not asked for")
        content = bytearray()
        # Left by a cancellation, an answer that is too long has its generators unwound from their innermost.
        with trio.CancelScope() as scope:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > ANSWER_BYTES_MAX:
                    scope.cancel()
        if len(content) > ANSWER_BYTES_MAX:
            raise self._away(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        return bytes(content)

    def _object(self, content: bytes, needed: bool) -> dict[str, Any]:
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            return body
        if needed:
            raise self._away("an answer that is no JSON object")
        return {}

    def _away(self, why: str) -> ProviderAwayError:
        return ProviderAwayError(f"the identity provider {self._provider.identity_provider} is of no use now: {why}")


def _said(error: BaseException) -> str:
    """What it says, or the first of those behind it that says anything."""
    found: BaseException | None = error
    while found is not None and not str(found):
        found = found.__cause__ or found.__context__
    return str(found) if found is not None else type(error).__name__
