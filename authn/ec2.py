"""What an EC2 credential holds: an access key that everybody may see, and the secret that requests are signed with.

Its blob is a JSON object. What a delegated token made it from is kept in it, so that it opens no more than that.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from store.core.errors import InvalidError

EC2: Final = "ec2"
"""The credential's type."""

DELEGATIONS: Final = ("trust_id", "app_cred_id", "access_token_id")
"""What in a blob says whose part of whose rights the credential is for."""


@dataclass(frozen=True, slots=True)
class Ec2Secret:
    """A blob, read. Ids are empty for none."""

    access: str
    secret: str
    trust_id: str = ""
    application_credential_id: str = ""
    access_token_id: str = ""


def id_of(access: str) -> str:
    """The id of the credential that has the access key."""
    return hashlib.sha256(access.encode("utf-8", "surrogatepass")).hexdigest()


def read_object(blob: str) -> dict[str, Any]:
    """The object that a blob is. Raises InvalidError where it is none or has no access key."""
    try:
        held = json.loads(blob)
    except (ValueError, RecursionError) as error:
        raise InvalidError("Invalid blob in credential") from error
    if not isinstance(held, dict):
        raise InvalidError("credential.blob: not of type 'object'")
    if not isinstance(held.get("access"), str) or not held["access"]:
        raise InvalidError("Expecting to find access in credential.")
    return held


def read(blob: str) -> Ec2Secret:
    """What a blob says. Raises InvalidError where it has no access key."""
    held = read_object(blob)
    texts = {name: value for name, value in held.items() if isinstance(value, str)}
    return Ec2Secret(
        access=texts["access"],
        secret=texts.get("secret", ""),
        trust_id=texts.get("trust_id", ""),
        application_credential_id=texts.get("app_cred_id", ""),
        access_token_id=texts.get("access_token_id", ""),
    )
