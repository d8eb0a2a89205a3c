"""Volumes of the real program for other machines: NBD over TCP, by stock clients with certificates, and others."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import trustme

from tests.nbd.test_stock_clients import needs
from tests.process.program import Program, running

pytestmark = [pytest.mark.process, pytest.mark.client]

MIB = 1 << 20


def client_files(folder: Path, client: trustme.CA | None, server: trustme.CA) -> Path:
    """What libnbd and qemu look for in a folder: whom to believe, and who one is, by the word of `client`."""
    folder.mkdir()
    server.cert_pem.write_to_path(str(folder / "ca-cert.pem"))
    if client is not None:
        if client is not server:  # qemu wants to know who signed its own, too
            client.cert_pem.write_to_path(str(folder / "ca-cert.pem"), append=True)
        own = client.issue_cert("client.example", common_name="client")
        own.private_key_pem.write_to_path(str(folder / "client-key.pem"))
        for pem in own.cert_chain_pems:
            pem.write_to_path(str(folder / "client-cert.pem"), append=True)
    return folder


class Serving(NamedTuple):
    """A program that serves volumes over TCP."""

    program: Program
    options: list[str]
    known: Path
    """Of a client that has a certificate."""
    strangers: list[Path]
    """Of one that has none, and one that has one of another authority."""

    def uri(self, name: str, files: Path) -> str:
        done = self.program.command("volume", "uri", name, "--host", "localhost")
        assert done.returncode == 0, done.stderr
        return f"{done.stdout.strip()}?tls-certificates={files}"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Its own certificate is of another authority than those of clients."""
    folder = tmp_path_factory.mktemp("tls")
    server, clients, others = trustme.CA(), trustme.CA(), trustme.CA()
    own = server.issue_cert("localhost", "127.0.0.1")
    for pem in own.cert_chain_pems:
        pem.write_to_path(str(folder / "server.pem"), append=True)
    own.private_key_pem.write_to_path(str(folder / "server.key"))
    clients.cert_pem.write_to_path(str(folder / "clients-ca.pem"))
    options = [
        *("--nbd-tls-certificate", str(folder / "server.pem"), "--nbd-tls-key", str(folder / "server.key")),
        *("--nbd-tls-client-ca", str(folder / "clients-ca.pem")),
    ]
    known = client_files(folder / "known", clients, server)
    strangers = [
        client_files(folder / "nobody", None, server),
        client_files(folder / "other", others, server),
        # One that the server's authority has signed is no client for that.
        client_files(folder / "of-the-server", server, server),
    ]
    with running(folder / "data", "--devices", "3", "--nbd-listen", "127.0.0.1:0", *options) as program:
        made = program.command("volume", "create", "web", "--size", "64M")
        assert made.returncode == 0, made.stderr
        yield Serving(program, options, known, strangers)


def run(*command: str, code: int = 0) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def epoch(serving: Serving) -> int:
    """How often the volume was opened."""
    shown = serving.program.command("volume", "show", "web", "--json")
    opened: int = json.loads(shown.stdout)["epoch"]
    return opened


def qemu_options(uri: str, files: Path) -> tuple[list[str], str]:
    """As QEMU's tools take it: they know no nbds URI."""
    parts = urlsplit(uri)
    tls = f"tls-creds-x509,id=tls,endpoint=client,dir={files}"
    where = (
        f"driver=nbd,server.type=inet,server.host={parts.hostname},server.port={parts.port},"
        f"export={parts.path.removeprefix('/')},tls-creds=tls"
    )
    return ["--object", tls, "--image-opts"], where


@needs("nbdinfo")
def test_libnbd_with_a_certificate(serving: Serving) -> None:
    said = run("nbdinfo", serving.uri("web", serving.known))
    assert "with TLS" in said
    assert f"export-size: {64 * MIB}" in said
    assert "export=" not in run("nbdinfo", "--list", serving.uri("web", serving.known))


@needs("qemu-io")
@needs("qemu-img")
def test_qemu_with_a_certificate(serving: Serving, tmp_path: Path) -> None:
    """What is written there is read at the socket."""
    with_tls, where = qemu_options(serving.uri("web", serving.known), serving.known)
    run("qemu-io", *with_tls, where, "-c", "write -P 7 1M 512k", "-c", "flush", "-c", "read -P 7 1M 512k")
    image = tmp_path / "image.raw"
    run("qemu-img", "convert", *with_tls, where, "-O", "raw", str(image))
    assert image.stat().st_size == 64 * MIB
    with image.open("rb") as file:
        file.seek(MIB)
        assert file.read(MIB) == b"\7" * (MIB // 2) + bytes(MIB // 2)
    local = serving.program.command("volume", "uri", "web").stdout.strip()
    run("qemu-io", "-r", "-f", "raw", local, "-c", "read -P 7 1M 512k")


@needs("nbdinfo")
@needs("qemu-img")
def test_strangers_get_nothing(serving: Serving) -> None:
    before = epoch(serving)
    for files in serving.strangers:
        uri = serving.uri("web", files)
        run("nbdinfo", uri, code=1)
        said = run("nbdinfo", "--list", uri, code=1)
        assert "web:" not in said
        assert "export=" not in said
        with_tls, where = qemu_options(uri, files)
        run("qemu-img", "info", *with_tls, where, code=1)
    plain = serving.uri("web", serving.known).partition("?")[0].replace("nbds:", "nbd:")
    assert "TLS" in run("nbdinfo", plain, code=1)
    assert "export=" not in run("nbdinfo", "--list", plain, code=1)
    assert epoch(serving) == before
    assert "Traceback" not in serving.program.log()


def test_addresses_of_volumes_for_other_machines(serving: Serving) -> None:
    def said(*arguments: str, code: int = 0) -> str:
        done = serving.program.command("volume", "uri", *arguments)
        assert done.returncode == code, done.stderr
        return (done.stdout + done.stderr).strip()

    port = urlsplit(said("web", "--host", "storage.example")).port
    assert port
    assert said("web", "--host", "storage.example") == f"nbds://storage.example:{port}/web"
    assert said("web", "--host", "2001:db8::1") == f"nbds://[2001:db8::1]:{port}/web"
    assert "is no name or address" in said("web", "--host", "storage.example:10809", code=1)
    assert "there is no volume other" in said("other", "--host", "storage.example", code=1)


def test_what_is_refused_is_refused_before_a_folder_is_made(serving: Serving, tmp_path: Path) -> None:
    certificate, key, authority = serving.options[:2], serving.options[2:4], serving.options[4:]
    other = Program(tmp_path / "data")
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    port = urlsplit(serving.uri("web", serving.known)).port
    tls = [*certificate, *key, *authority]
    for processes in ([], ["--processes", "2"]):
        for options, why in (
            (["--nbd-listen", "0.0.0.0:0"], "needs --nbd-tls-certificate and --nbd-tls-client-ca"),
            (["--nbd-listen", "127.0.0.1:0", *certificate, *key], "needs --nbd-tls-certificate and --nbd-tls-client"),
            (["--nbd-listen", "0.0.0.0:0", *authority], "needs --nbd-tls-certificate and --nbd-tls-client-ca"),
            (tls, "--nbd-listen ADDR:PORT, which is missing"),
            (["--nbd-listen", "10809", *tls], "--nbd-listen takes ADDR:PORT"),
            (["--nbd-listen", "0.0.0.0:0", *certificate, *authority], "server.pem"),  # its key is in another file
            (["--nbd-listen", "0.0.0.0:0", *certificate, *key, "--nbd-tls-client-ca", str(junk)], "junk.pem"),
        ):
            done = other.command("up", "--listen", "127.0.0.1:0", *processes, *options)
            assert done.returncode == 1, (options, done.stdout)
            assert why in done.stderr
            assert "Traceback" not in done.stderr
            assert not other.folder.exists()
    done = other.command("up", "--listen", "127.0.0.1:0", "--nbd-listen", f"127.0.0.1:{port}", *tls)
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert not other.folder.exists()


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
@needs("nbdinfo")
def test_of_several_processes_one_listens(serving: Serving, tmp_path: Path) -> None:
    options = ("--devices", "3", "--processes", "2", "--nbd-listen", "127.0.0.1:0", *serving.options)
    with running(tmp_path / "data", *options) as program:
        several = serving._replace(program=program)
        made = program.command("volume", "create", "web", "--size", "1M")
        assert made.returncode == 0, made.stderr
        for _ in range(4):
            assert f"export-size: {MIB}" in run("nbdinfo", several.uri("web", serving.known))
        assert program.log().count("volumes are served in TLS") == 1


def test_where_volumes_are_for_this_machine_alone(program: Program) -> None:
    program.command("volume", "create", "here", "--size", "1M")
    done = program.command("volume", "uri", "here", "--host", "localhost")
    assert done.returncode == 1
    assert "served to this machine alone: start 'drystone up' with --nbd-listen" in done.stderr
