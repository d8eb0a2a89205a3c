"""`Vault`: secrets that have to be read again (credentials, shared keys) under keys that are in the registry."""

from __future__ import annotations

from cryptography.fernet import InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authn import keys
from authn.directory import Directory
from authn.errors import UnreadableError
from authn.token_keys import CODEC, STAGED, TokenKeys
from store.core.entropy import Random
from store.core.errors import ConflictError
from store.registry import Compare, Put, Registry


class Vault:
    """Seals and opens. The keys are made by `ensure` at the first start."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._keys: TokenKeys | None = None
        self._sealer: MultiFernet | None = None

    def seal(self, secret: bytes) -> bytes:
        """What may be stored of a secret."""
        return self._need_sealer().encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """The secret. Raises UnreadableError where it was sealed with a key that is not here."""
        try:
            return self._need_sealer().decrypt(sealed)
        except InvalidToken as error:
            raise UnreadableError("A stored secret cannot be opened: its key is gone.") from error

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for a purpose, the same in every process; another when the credential keys are rotated."""
        held = self._need_keys()
        newest = held.by_number[max(held.by_number)]
        return HKDF(hashes.SHA256(), 32, salt=None, info=purpose).derive(newest)

    def _need_sealer(self) -> MultiFernet:
        held = self._need_keys()
        if self._sealer is None or held is not self._keys:
            self._keys, self._sealer = held, held.sealer()
        return self._sealer

    def _need_keys(self) -> TokenKeys:
        held = self._directory.snapshot.credential_keys
        if held is None:
            raise ConflictError("there are no credential keys: bootstrap identity first")
        return held


async def ensure(registry: Registry, random: Random) -> bool:
    """Makes the first two keys, staged and primary, where there are none. Whether it did."""
    first = CODEC.encode(TokenKeys({STAGED: random.bytes(32), STAGED + 1: random.bytes(32)}))
    result = await registry.transact([Compare.absent(keys.CREDENTIAL_KEYS)], [Put(keys.CREDENTIAL_KEYS, first)])
    return result.succeeded
