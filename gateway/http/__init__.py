"""A small ASGI server on trio and llhttp, made for object storage: see docs/http.md."""

from gateway.http.errors import ClientDisconnected, ResponseError
from gateway.http.limits import Limits
from gateway.http.server import serve
from gateway.http.tls import server_context

__all__ = ["ClientDisconnected", "Limits", "ResponseError", "serve", "server_context"]
