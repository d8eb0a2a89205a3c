"""TCP: nothing without TLS, and nobody without a certificate."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme

from gateway.nbd.limits import Limits
from gateway.nbd.protocol import Option, OptionReply
from gateway.nbd.server import serve
from gateway.nbd.tls import server_context
from tests.nbd.client import Client, go_data, option
from tests.nbd.memory_disk import MemoryDisk, MemoryExports

SIZE = 1024 * 1024
TLS_BYTES = 300_000


class Certificates:
    """Those of an authority, as files under the names that qemu and libnbd look for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(folder / "ca-cert.pem"))
        server = self.authority.issue_cert("localhost", "127.0.0.1")
        server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        client = self.authority.issue_cert("client.example", common_name="client")
        client.private_key_pem.write_to_path(str(folder / "client-key.pem"))
        for pem in client.cert_chain_pems:
            pem.write_to_path(str(folder / "client-cert.pem"), append=True)

    def server(self) -> ssl.SSLContext:
        return server_context(self.folder / "server.pem", self.folder / "server.pem", self.folder / "ca-cert.pem")

    def client(self, *, certificate: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca-cert.pem"))
        if certificate:
            context.load_cert_chain(self.folder / "client-cert.pem", self.folder / "client-key.pem")
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def serving_tcp(
    exports: MemoryExports,
    certificates: Certificates,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
) -> AsyncIterator[int]:
    """The port."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listener.socket.getsockname()[1]
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[None]) -> None:
            await serve(
                exports,
                listener,
                limits=limits,
                tls=certificates.server(),
                listing=True,
                shutdown=shutdown,
                task_status=task_status,
            )

        await nursery.start(run)
        try:
            yield port
        finally:
            shutdown.set()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    client = Client(await trio.open_tcp_stream("127.0.0.1", port))
    try:
        yield client
    finally:
        await trio.aclose_forcefully(client.stream)


async def upgrade(client: Client, context: ssl.SSLContext) -> None:
    assert (await client.ask(Option.STARTTLS))[0].kind == OptionReply.ACK
    client.stream = trio.SSLStream(client.stream, context, server_hostname="localhost", https_compatible=True)


async def test_over_tls_all_is_as_without(certificates: Certificates) -> None:
    exports = MemoryExports(disk=MemoryDisk(SIZE))
    async with serving_tcp(exports, certificates) as port, connected(port) as client:
        await client.greet()
        for number, data in ((Option.LIST, b""), (Option.GO, go_data("disk")), (Option.STRUCTURED_REPLY, b"")):
            assert (await client.ask(number, data))[0].kind == OptionReply.ERR_TLS_REQD
        await upgrade(client, certificates.client())
        assert (await client.ask(Option.LIST))[0].data == b"\0\0\0\4disk"
        await client.ask(Option.STRUCTURED_REPLY)
        assert (await client.ask(Option.GO, go_data("disk")))[-1].kind == OptionReply.ACK
        data = bytes(range(256)) * (TLS_BYTES // 256)
        await client.write(1000, data)
        assert await client.read(1000, len(data)) == data
        assert exports.open_now == 1


async def test_who_has_no_certificate_gets_nothing(certificates: Certificates) -> None:
    exports = MemoryExports(disk=MemoryDisk(SIZE))
    async with serving_tcp(exports, certificates) as port, connected(port) as client:
        await client.greet()
        await upgrade(client, certificates.client(certificate=False))
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await client.ask(Option.GO, go_data("disk"))
        assert exports.open_now == 0


async def test_who_has_a_certificate_of_somebody_else_gets_nothing(certificates: Certificates) -> None:
    exports = MemoryExports(disk=MemoryDisk(SIZE))
    context = certificates.client(certificate=False)
    trustme.CA().issue_cert("client.example").configure_cert(context)
    async with serving_tcp(exports, certificates) as port, connected(port) as client:
        await client.greet()
        await upgrade(client, context)
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await client.ask(Option.GO, go_data("disk"))
        assert exports.open_now == 0


@pytest.mark.parametrize(
    "said", [option(Option.EXPORT_NAME, b"disk"), option(Option.STARTTLS) + option(Option.GO, go_data("disk"))]
)
async def test_what_ends_the_connection_before_tls(certificates: Certificates, said: bytes) -> None:
    exports = MemoryExports(disk=MemoryDisk(SIZE))
    async with serving_tcp(exports, certificates) as port, connected(port) as client:
        await client.greet()
        await client.stream.send_all(said)
        with pytest.raises(EOFError):
            await client.take(1)


async def test_a_tls_handshake_that_does_not_come_is_not_waited_for(
    certificates: Certificates, mock_clock: trio.testing.MockClock
) -> None:
    exports = MemoryExports(disk=MemoryDisk(SIZE))
    async with serving_tcp(exports, certificates, Limits(handshake=10)) as port, connected(port) as client:
        await client.greet()
        assert (await client.ask(Option.STARTTLS))[0].kind == OptionReply.ACK
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(10.5)
        with pytest.raises(EOFError):
            await client.take(1)


async def test_tcp_is_not_served_without_certificates(
    certificates: Certificates, autojump_clock: trio.testing.MockClock
) -> None:
    context = certificates.server()
    context.verify_mode = ssl.CERT_OPTIONAL
    for tls in (None, context):
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        with pytest.raises(ValueError, match="certificate"), trio.fail_after(5):
            await serve(MemoryExports(), listener, tls=tls)
        assert listener.socket.fileno() == -1  # closed


async def run(*command: str, code: int = 0) -> str:
    done = await trio.run_process(list(command), capture_stdout=True, capture_stderr=True, check=False)
    assert done.returncode == code, done.stderr
    return (done.stdout + done.stderr).decode()


@pytest.mark.client
@pytest.mark.skipif(shutil.which("nbdinfo") is None, reason="nbdinfo is not installed")
async def test_libnbd_over_tls(certificates: Certificates) -> None:
    async with serving_tcp(MemoryExports(disk=MemoryDisk(SIZE)), certificates) as port:
        said = await run("nbdinfo", f"nbds://localhost:{port}/disk?tls-certificates={certificates.folder}")
        assert "with TLS" in said
        await run("nbdinfo", f"nbd://localhost:{port}/disk", code=1)


@pytest.mark.client
@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
async def test_qemu_over_tls(certificates: Certificates) -> None:
    disk = MemoryDisk(SIZE)
    tls = f"tls-creds-x509,id=tls,endpoint=client,dir={certificates.folder}"
    async with serving_tcp(MemoryExports(disk=disk), certificates) as port:
        where = f"driver=nbd,host=127.0.0.1,port={port},export=disk,tls-creds=tls,tls-hostname=localhost"
        await run(
            "qemu-io", "--object", tls, "--image-opts", where, "-c", "write -P 7 0 512k", "-c", "read -P 7 0 512k"
        )
        assert disk.content[:-1].rstrip(b"\0") == b"\7" * 512 * 1024
