"""A real directory: OpenLDAP's slapd as a process, on a free port of the loopback, over a folder of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme

from tests.ports import free_port

SUFFIX: Final = "dc=example,dc=org"
READER: Final = f"cn=reader,{SUFFIX}"
READER_PASSWORD: Final = "reads only"
TALL: Final = 25
"""Users beside those with names, so that there are several pages."""

# As Active Directory has them; everybody may bind with a DN and no password, which then counts as nobody.
_CONFIGURATION: Final = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 EQUALITY integerMatch SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 EQUALITY octetStringMatch SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.99999.1 NAME 'account7' SUP top AUXILIARY MAY ( userAccountControl $ objectGUID ) )
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_anon_dn
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
suffix "{suffix}"
rootdn "cn=root,{suffix}"
directory {folder}/data
maxsize 33554432
sizelimit size.soft=20 size.hard=20 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * auth
"""


@dataclass
class OpenLdap:
    """A directory that runs, and what it says."""

    folder: Path
    port: int
    tls_port: int
    authority: Path
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def listening(self) -> str:
        return f"{self.url}/ {self.tls_url}/"


@contextmanager
def running(folder: Path, entries: str) -> Iterator[OpenLdap]:
    """Start a directory of these entries (LDIF), and end it."""
    # A copy: some distributions confine the one of the package to its own folders.
    program = shutil.copy("/usr/sbin/slapd", folder / "slapd")
    _certify(folder)
    (folder / "data").mkdir()
    configuration = folder / "slapd.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, suffix=SUFFIX, reader=READER))
    (folder / "entries.ldif").write_text(entries)
    subprocess.run(
        [program, "-Tadd", "-f", configuration, "-l", folder / "entries.ldif"], check=True, capture_output=True
    )
    for _ in range(10):  # another may take a port between its choice and its use
        directory = OpenLdap(folder, free_port(), free_port(), folder / "authority.pem")
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", program, "-d", "stats", "-f", configuration, "-h", directory.listening],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            directory.log.append(line)
            if "slapd starting" in line:
                break
        else:
            process.wait()
            continue
        reader = threading.Thread(target=directory.log.extend, args=[process.stderr])
        reader.start()
        try:
            _wait_until_it_listens(directory, process)
            yield directory
        finally:
            process.terminate()
            process.wait()
            reader.join()
            process.stderr.close()
        return
    raise AssertionError("".join(directory.log))


def _wait_until_it_listens(directory: OpenLdap, process: subprocess.Popen[str]) -> None:
    """It says that it starts a moment before it listens."""
    for port in (directory.port, directory.tls_port):
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, "".join(directory.log)
                time.sleep(0.02)


def _certify(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    server = authority.issue_cert("127.0.0.1")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    server.private_key_pem.write_to_path(folder / "server.key")
