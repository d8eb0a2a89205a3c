"""A line to a directory: trio has the wire, libldap the words.

libldap waits without end, and cannot be called off, where a directory takes a connection and then says nothing in its
part of a TLS handshake. So it talks into a local pair of sockets, and what it says is carried from there to the wire
and back while a call is under way. Closing the pair ends whatever it waits for.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

import outcome
import trio

from authn.backends import ldap_calls
from authn.backends.carrier import Carrier
from authn.backends.ldap_options import LdapOptions

T = TypeVar("T")

_PORTS: Final = {"ldap": 389, "ldaps": 636}


class Line:
    """One connection. Make it with `open_line`; used by one task at a time. After an error or a cancellation it is
    closed, and of no more use."""

    def __init__(self, wire: trio.abc.Stream, pair: trio.SocketStream, connection: ldap_calls.Connection) -> None:
        self._wire = wire
        self._pair = pair
        self._connection = connection

    async def call(self, limiter: trio.CapacityLimiter, function: Callable[..., T], *args: object) -> T:
        """One of `ldap_calls`, in a thread. Raises ldap.LDAPError."""
        outwards, inwards = Carrier(self._pair, self._wire), Carrier(self._wire, self._pair)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(outwards.run)
                nursery.start_soon(self._carry_inwards, inwards)
                answer = await trio.to_thread.run_sync(
                    outcome.capture, function, self._connection, *args, abandon_on_cancel=True, limiter=limiter
                )
                outwards.call_off()
                inwards.call_off()
            return answer.unwrap()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """At once, without a farewell. A call that hangs ends."""
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._pair)
            await trio.aclose_forcefully(self._wire)

    async def _carry_inwards(self, inwards: Carrier) -> None:
        await inwards.run()
        if not inwards.called_off:
            await self._pair.send_eof()  # libldap is to know that the directory is gone


async def open_line(options: LdapOptions, url: str, limiter: trio.CapacityLimiter) -> Line:
    """Connected, with TLS where it is asked for; bound as nobody. Raises OSError, trio.BrokenResourceError (for what a
    certificate is refused, too), ldap.LDAPError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    # In a thread: the machine's certificates are many. Each time: they change.
    context = await trio.to_thread.run_sync(_context, options, limiter=limiter) if parts.scheme == "ldaps" else None
    wire: trio.abc.Stream = await trio.open_tcp_stream(host, parts.port or _PORTS[parts.scheme])
    try:
        if context is not None:
            secured = trio.SSLStream(wire, context, server_hostname=host)
            await secured.do_handshake()
            wire = secured
        ours, theirs = socket.socketpair()
        pair = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        connection = ldap_calls.wrap(options, f"ldap://{parts.netloc}", theirs.detach())
    except BaseException:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(wire)
        raise
    line = Line(wire, pair, connection)
    if options.use_tls:
        await line.call(limiter, ldap_calls.start_tls, options)
    return line


def _context(options: LdapOptions) -> ssl.SSLContext:
    context = ssl.create_default_context(
        cafile=options.tls_cacertfile or None,
        capath=None if options.tls_cacertfile else options.tls_cacertdir or None,
    )
    if options.tls_req_cert != "demand":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
