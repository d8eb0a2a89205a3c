"""Who this node is, in the data folder of a member:

node/node.json         its name, its address, where it stands, and who has the registry
node/authority.pem     the cluster's authority
node/certificate.pem   its own certificate
node/key.pem           the key of that
node/revoked.pem       certificates that do not count any more, for etcd
node/lock              held by the process that serves the folder
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from drystone.folder import DataFolder, sync_folder
from store.core.errors import ConflictError, DamageError
from store.wire.tls import Credentials

FORMAT = 1
_FOLDER = "node"
_FILE = "node.json"
_AUTHORITY, _CERTIFICATE, _KEY = "authority.pem", "certificate.pem", "key.pem"
_REVOKED = "revoked.pem"
_LOCK = "lock"


@dataclass(frozen=True)
class NodeIdentity:
    """`registry` is the name of the node that owns the registry, and `registry_address` where that is reached; where
    the registry is in etcd both are empty, and `etcd` has the URLs of its members."""

    name: str
    address: str
    region: int
    zone: int
    machine: str
    registry: str
    registry_address: str
    etcd: tuple[str, ...] = ()

    @property
    def owns_registry(self) -> bool:
        return self.name == self.registry


def find_identity(folder: DataFolder) -> NodeIdentity | None:
    """None in the folder of a machine alone. Raises DamageError for a file that cannot be read."""
    path = folder.at(_FOLDER, _FILE)
    try:
        with open(path, encoding="utf-8") as file:
            stored = json.load(file)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamageError(f"{path} cannot be read: {error}") from error
    try:
        if stored.pop("format") != FORMAT:
            raise DamageError(f"{path} is of a newer Drystone")
        return NodeIdentity(**{**stored, "etcd": tuple(stored["etcd"])})
    except (AttributeError, KeyError, TypeError) as error:
        raise DamageError(f"{path} cannot be read: {error}") from error


def save_identity(
    folder: DataFolder,
    identity: NodeIdentity,
    authority: bytes,
    certificate: bytes,
    key: bytes,
    revoked: bytes = b"",
) -> None:
    """Have it in the folder, durably: all of it, or nothing. A node that starts etcd at once needs the list `revoked`
    for that, empty as it is."""
    new = folder.at(f"{_FOLDER}.new")
    clear_identity(folder)
    os.mkdir(new, mode=0o700)
    files = {_AUTHORITY: authority, _CERTIFICATE: certificate, _KEY: key, _FILE: _packed(identity), _LOCK: b""}
    if revoked:
        files[_REVOKED] = revoked
    for name, content in files.items():
        descriptor = os.open(os.path.join(new, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(new)
    os.rename(new, folder.at(_FOLDER))
    folder.sync()


def save_place(folder: DataFolder, identity: NodeIdentity) -> None:
    """Have the folder say anew where the registry is, durably."""
    folder.write(os.path.join(_FOLDER, _FILE), _packed(identity).decode())
    sync_folder(folder.at(_FOLDER))


def _packed(identity: NodeIdentity) -> bytes:
    return (json.dumps({"format": FORMAT, **asdict(identity)}, indent=2) + "\n").encode()


def clear_identity(folder: DataFolder) -> None:
    """Take away what a founding or a join has made that came to no end."""
    shutil.rmtree(folder.at(f"{_FOLDER}.new"), ignore_errors=True)
    with suppress(FileNotFoundError):
        os.unlink(folder.at(_FOLDER, _FILE))  # without that it is none
    shutil.rmtree(folder.at(_FOLDER), ignore_errors=True)


def revoked_path(folder: DataFolder) -> str:
    """Of the list of certificates that do not count any more; there is one where this node runs etcd."""
    return folder.at(_FOLDER, _REVOKED)


def save_revoked(folder: DataFolder, revoked: bytes) -> None:
    """Replace that list, durably."""
    folder.write(os.path.join(_FOLDER, _REVOKED), revoked.decode())


def credentials_of(folder: DataFolder) -> Credentials:
    return Credentials(*(folder.at(_FOLDER, name) for name in (_AUTHORITY, _CERTIFICATE, _KEY)))


@contextmanager
def lock_node(folder: DataFolder) -> Iterator[None]:
    """While this process serves the folder. Raises ConflictError where another does."""
    lock = os.open(folder.at(_FOLDER, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConflictError(f"another process serves {folder.path}") from None
    try:
        yield
    finally:
        os.close(lock)
