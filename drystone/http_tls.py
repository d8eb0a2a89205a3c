"""https for `drystone up`, and client certificates with it."""

from __future__ import annotations

import ssl
from typing import NamedTuple

from gateway.http import server_context
from store.core.errors import InvalidError


class HttpTls(NamedTuple):
    """What `drystone up` was told. `key` is None where it is in the file of the certificate, `client_ca` where clients
    show none."""

    certificate: str
    key: str | None
    client_ca: str | None

    @property
    def options(self) -> list[str]:
        """The same for another process."""
        said = ["--tls-certificate", self.certificate]
        said += ["--tls-key", self.key] if self.key else []
        return [*said, *(["--tls-client-ca", self.client_ca] if self.client_ca else [])]

    def context(self) -> ssl.SSLContext:
        """Raises InvalidError where a file is none of these."""
        try:
            return server_context(self.certificate, self.key, self.client_ca)
        except OSError as error:  # those of ssl are, too
            files = ", ".join(file for file in self if file)
            raise InvalidError(f"--tls-certificate, its key or --tls-client-ca ({files}): {error}") from error


def http_tls(certificate: str | None, key: str | None, client_ca: str | None) -> HttpTls | None:
    """Of the options of `drystone up`; None for plain http. Raises InvalidError where some are missing."""
    if certificate is not None:
        return HttpTls(certificate, key, client_ca)
    if key or client_ca:
        raise InvalidError("--tls-key and --tls-client-ca are for --tls-certificate, which is missing")
    return None
