"""The other services, asked in the caller's name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call, Handler, of, within
from gateway.rest.inside import App, Asker
from store.core.errors import ConflictError, InvalidError, NotFoundError

LAST: Final = 35
"""The last microversion that has any of it."""
PATCH: Final = "application/openstack-images-v2.1-json-patch"
JSON: Final = {"Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Askers:
    """Of one process."""

    images: Asker
    image_patches: Asker
    networks: Asker
    volumes: Asker


def askers(images: App, networks: App, volumes: App) -> Askers:
    """Over the services' applications."""
    return Askers(
        Asker(images, "/image/v2", JSON),
        Asker(images, "/image/v2", {**JSON, "Content-Type": PATCH}),
        Asker(networks, "/network/v2.0"),
        Asker(volumes, "/volume/v3", {"OpenStack-API-Version": "volume 3.65"}),
    )


Choose = Callable[[Askers], Asker]


async def ask(
    call: Call, which: Choose, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None
) -> Any:
    """What another service answers the caller."""
    return await which(call.service.askers).ask(await call.credentials(), method, path, body, query)


def proxied(operation: str, handler: Callable[[Call], Awaitable[Response]], last: int = LAST) -> Handler:
    """A handler that is there until 2.`last`, for those whose policy says so; "" of `operation`: for everybody."""

    async def answer(call: Call) -> Response:
        if operation:
            await call.allow(operation, of(await call.project()))
        return await handler(call)

    return within(1, last, answer)


@contextmanager
def called(what: str) -> Iterator[None]:
    """What is not there is said so in words that old clients know, and a conflict is a bad request to them."""
    try:
        yield
    except NotFoundError as error:
        raise NotFoundError(what) from error
    except ConflictError as error:
        raise InvalidError(str(error)) from error
