"""What version 1 looks like, byte for byte: stored values and tokens outlive the program that wrote them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgpack
import pytest

from authn import keys, token_keys
from authn.keys import PROJECT_TARGET
from authn.records import (
    DOMAIN,
    ENDPOINT,
    GROUP,
    PROJECT,
    ROLE,
    SERVICE,
    USER,
    Domain,
    Endpoint,
    Group,
    Kind,
    Project,
    Role,
    Service,
    User,
)
from authn.records.credentials import (
    ACCESS_RULE,
    APPLICATION_CREDENTIAL,
    CREDENTIAL,
    AccessRule,
    ApplicationCredential,
    Credential,
)
from authn.records.federation import IDENTITY_PROVIDER, IdentityProvider
from authn.rights import UNSCOPED, Scope
from authn.shadows import TOKEN_GROUPS_MAX
from authn.snapshot import ASSIGNMENT_CODEC, REVOKED_CODEC
from authn.token_format import Federated, Token, seal, unseal
from authn.token_keys import TokenKeys

ID = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
LONG = "0123456789abcdef" * 4
"""The id of a user or group of a directory."""
KEYS = TokenKeys({0: bytes(range(100, 132)), 1: bytes(range(32))})

RECORDS = [
    (
        DOMAIN,
        Domain(id="default", name="Default", description="first", enabled=True),
        "9501a764656661756c74a744656661756c74a56669727374c3",
    ),
    (
        PROJECT,
        Project(
            id=ID, name="quarry", domain_id="default", description="stones", enabled=True, epoch=1, extra='{"tags": []}'
        ),
        "9801d9203031323334353637383961626364656630313233343536373839616263646566a6717561727279a7"
        "64656661756c74a673746f6e6573c301ac7b2274616773223a205b5d7d",
    ),
    (
        USER,
        User(
            id=ID,
            name="ann",
            domain_id="default",
            password_hash="$argon2id$x",
            description="mason",
            enabled=False,
            epoch=3,
            default_project_id=OTHER,
            extra="{}",
        ),
        "9a01d9203031323334353637383961626364656630313233343536373839616263646566a3616e6ea7646566"
        "61756c74ab246172676f6e3269642478a56d61736f6ec203d920666666666666666666666666666666666666"
        "6666666666666666666666666666a27b7d",
    ),
    (  # version 3
        USER,
        User(id=LONG, name="ann", domain_id="default", directory_id="cn=ann", enabled=True),
        "9f03d94030313233343536373839616263646566303132333435363738396162636465663031323334353637"
        "383961626364656630313233343536373839616263646566a3616e6ea764656661756c74a0a0c300a0a27b7d"
        "a27b7d009090a6636e3d616e6e",
    ),
    (  # version 4
        USER,
        User(
            id=ID,
            name="ann",
            password_hash="$x",
            password_set_s=1_700_000_000,
            former_hashes=("$y", "$z"),
            password_expires_s=1_700_086_400,
            password_own=True,
            failures=3,
            failed_us=1_700_000_000_123_456,
        ),
        (
            "dc001304d9203031323334353637383961626364656630313233343536373839616263646566a3616e6ea764"
            "656661756c74a22478a0c300a0a27b7da27b7dce6553f10092a22479a2247a90a0ce65554280c303cf00060a"
            "2418202240"
        ),
    ),
    (
        ROLE,
        Role(id=ID, name="manager", description="", implies=(OTHER,)),
        "9501d9203031323334353637383961626364656630313233343536373839616263646566a76d616e61676572"
        "a091d9206666666666666666666666666666666666666666666666666666666666666666",
    ),
    (
        SERVICE,
        Service(id=ID, type="object-store", name="swift", description="", enabled=True),
        "9601d9203031323334353637383961626364656630313233343536373839616263646566ac6f626a6563742d"
        "73746f7265a57377696674a0c3",
    ),
    (
        ENDPOINT,
        Endpoint(
            id=ID, service_id=OTHER, interface="public", url="/v1/AUTH_%(project_id)s", region="RegionOne", enabled=True
        ),
        "9701d9203031323334353637383961626364656630313233343536373839616263646566d920666666666666"
        "6666666666666666666666666666666666666666666666666666a67075626c6963b72f76312f415554485f25"
        "2870726f6a6563745f69642973a9526567696f6e4f6e65c3",
    ),
    (
        CREDENTIAL,
        Credential(
            id=ID,
            user_id=OTHER,
            type="totp",
            sealed=b"gAAAA",
            project_id="",
            extra="{}",
            used_step=56666666,
        ),
        "9801d9203031323334353637383961626364656630313233343536373839616263646566d920666666666666"
        "6666666666666666666666666666666666666666666666666666a4746f7470c4056741414141a0a27b7dce03"
        "60aa2a",
    ),
    (
        APPLICATION_CREDENTIAL,
        ApplicationCredential(
            id=ID,
            name="backup",
            user_id=OTHER,
            project_id=ID,
            secret_hash="$argon2id$x",
            role_ids=(OTHER,),
            expires_us=1700000000123456,
            unrestricted=True,
            description="nightly",
            access_rule_ids=(ID,),
        ),
        "9b01d9203031323334353637383961626364656630313233343536373839616263646566a66261636b7570d9"
        "206666666666666666666666666666666666666666666666666666666666666666d920303132333435363738"
        "3961626364656630313233343536373839616263646566ab246172676f6e326964247891d920666666666666"
        "6666666666666666666666666666666666666666666666666666cf00060a2418202240c3a76e696768746c79"
        "91d9203031323334353637383961626364656630313233343536373839616263646566",
    ),
    (
        ACCESS_RULE,
        AccessRule(
            id=ID,
            user_id=OTHER,
            service="object-store",
            method="GET",
            path="/v1/*/c/**",
        ),
        "9601d9203031323334353637383961626364656630313233343536373839616263646566d920666666666666"
        "6666666666666666666666666666666666666666666666666666ac6f626a6563742d73746f7265a3474554aa"
        "2f76312f2a2f632f2a2a",
    ),
]

SEALED = (
    "gAAAAABlU_EAX8HGPv5iCPzjDviisIJPXHEs-otQjcIDkrg4NPAp9PV-uqWWFl7te2Np23HOBlZfdpGTkDW1THRD"
    "17o69Jev8G5HRl9v4L8aVNfYkd6IwVYVa8hXhZjlqxarGuiYLVmvvae-Is1wV9hCPgjz_cnb02tC35uswOgdoDls"
    "MfJtFpE"
)


@pytest.mark.parametrize(
    ("kind", "record", "stored"),
    [
        (
            USER,
            User(id=LONG, name="ann", domain_id="default", directory_id="cn=ann", enabled=True),
            (
                "dc001505d94030313233343536373839616263646566303132333435363738396162636465663031323334353637"
                "383961626364656630313233343536373839616263646566a3616e6ea764656661756c74a0a0c300a0a27b7d"
                "a27b7d009090a6636e3d616e6e00c200000090"
            ),
        ),
        (
            USER,
            User(
                id=ID,
                name="ann",
                password_hash="$x",
                password_set_s=1_700_000_000,
                former_hashes=("$y", "$z"),
                password_expires_s=1_700_086_400,
                password_own=True,
                failures=3,
                failed_us=1_700_000_000_123_456,
                active_day=19_675,
                stated_groups=(("acme", 7, OTHER, 1_700_000_000),),
            ),
            (
                "dc001505d9203031323334353637383961626364656630313233343536373839616263646566a3616e6ea764"
                "656661756c74a22478a0c300a0a27b7da27b7dce6553f10092a22479a2247a90a0ce65554280c303cf00060a"
                "2418202240cd4cdb9194a461636d6507d9206666666666666666666666666666666666666666666666666666"
                "666666666666ce6553f100"
            ),
        ),
        (
            GROUP,
            Group(id=LONG, name="masons", domain_id="default", directory_id="cn=masons"),
            (
                "9702d94030313233343536373839616263646566303132333435363738396162636465663031323334353637"
                "383961626364656630313233343536373839616263646566a66d61736f6e73a764656661756c74a0a27b7da9"
                "636e3d6d61736f6e73"
            ),
        ),
    ],
)
def test_records_of_directories(kind: Kind[Any], record: Any, stored: str) -> None:
    assert kind.codec.encode(record).hex() == stored
    assert kind.codec.decode(bytes.fromhex(stored)) == record


def test_a_token_with_groups_of_a_directory() -> None:
    token = Token(
        user_id=LONG,
        scope=Scope(PROJECT_TARGET, OTHER),
        methods=frozenset({"password"}),
        issued_s=1_700_000_000,
        expires_s=1_700_003_600,
        user_epoch=2,
        scope_epoch=1,
        audit_ids=("AAECAwQFBgcICQoLDA0ODw",),
        directory_groups=tuple(f"{number:064x}" for number in range(TOKEN_GROUPS_MAX)),
    )
    sealed = seal(token, KEYS.sealer())
    assert unseal(sealed, KEYS.sealer()) == token
    assert len(sealed) < 5000  # every web server takes a header of that length


@pytest.mark.parametrize(("kind", "record", "stored"), RECORDS)
def test_records(kind: Kind[Any], record: Any, stored: str) -> None:
    assert kind.codec.decode(bytes.fromhex(stored)) == record
    assert kind.codec.decode(kind.codec.encode(record)) == record


def test_keys_assignments_and_revocations() -> None:
    stored = (
        "9201929200c4206465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182839201c42000"
        "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    )
    assert token_keys.CODEC.encode(KEYS).hex() == stored
    assert token_keys.CODEC.decode(bytes.fromhex(stored)) == KEYS
    assert ASSIGNMENT_CODEC.encode(None).hex() == "9101"
    assert REVOKED_CODEC.encode(1_700_003_600).hex() == "9201ce6553ff10"


def test_a_token() -> None:
    token = Token(
        user_id=ID,
        scope=Scope(PROJECT_TARGET, OTHER),
        methods=frozenset({"password"}),
        issued_s=1_700_000_000,
        expires_s=1_700_003_600,
        user_epoch=2,
        scope_epoch=1,
        audit_ids=("AAECAwQFBgcICQoLDA0ODw",),
    )
    assert unseal(SEALED, KEYS.sealer()) == token
    assert unseal(seal(token, KEYS.sealer()), KEYS.sealer()) == token
    assert unseal(SEALED, TokenKeys({0: bytes(32), 1: bytes(32)}).sealer()) is None


def test_who_vouches_for_whom() -> None:
    digest = "fc9f6dffa7b910a987e8daefab9d0eac07e0bbda5feba0a2973237028385a7d0"
    assert keys.federated(("acme", "openid", "jane")) == f"identity/name/federated/{digest}".encode()
    record = IdentityProvider("acme", "default", True, "who", ("https://x",), 60)
    first = "9801a461636d65a764656661756c74c3a377686f91a968747470733a2f2f783ca27b7d"
    second = "9902a461636d65a764656661756c74c3a377686f91a968747470733a2f2f783ca27b7d07"
    assert IDENTITY_PROVIDER.codec.decode(bytes.fromhex(first)) == record
    assert IDENTITY_PROVIDER.codec.encode(replace(record, epoch=7)).hex() == second
    assert IDENTITY_PROVIDER.codec.decode(bytes.fromhex(second)) == replace(record, epoch=7)


def test_a_federated_token() -> None:
    token = Token(
        user_id=ID,
        scope=UNSCOPED,
        methods=frozenset({"openid"}),
        issued_s=1_700_000_000,
        expires_s=1_700_003_600,
        user_epoch=2,
        scope_epoch=0,
        audit_ids=("AAECAwQFBgcICQoLDA0ODw",),
        federated=Federated("acme", "openid", (OTHER, "of-a-directory"), 7),
    )
    payload = msgpack.unpackb(KEYS.sealer().decrypt(seal(token, KEYS.sealer()) + "=="), strict_map_key=False)
    assert payload[-1] == {4: ["acme", "openid", bytes.fromhex(OTHER), "of-a-directory"], 5: 7}
    assert unseal(seal(token, KEYS.sealer()), KEYS.sealer()) == token


def test_a_token_that_is_bound_to_a_certificate() -> None:
    token = Token(
        user_id=ID,
        scope=Scope(PROJECT_TARGET, OTHER),
        methods=frozenset({"oauth2_credential"}),
        issued_s=1_700_000_000,
        expires_s=1_700_003_600,
        user_epoch=2,
        scope_epoch=0,
        audit_ids=("AAECAwQFBgcICQoLDA0ODw",),
        bound_to=bytes(range(32)),
    )
    payload = msgpack.unpackb(KEYS.sealer().decrypt(seal(token, KEYS.sealer()) + "=="), strict_map_key=False)
    assert (payload[4], payload[-1]) == (1024, {7: bytes(range(32))})
    assert unseal(seal(token, KEYS.sealer()), KEYS.sealer()) == token


@pytest.mark.parametrize("field", [(0, 3), (3, 1 << 12)])
def test_what_a_newer_program_sealed_is_nobody(field: tuple[int, int]) -> None:
    payload = [1, bytes(16), b"", 1, 2_000_000_000, 0, 0, [bytes(16)]]
    assert unseal(KEYS.sealer().encrypt(msgpack.packb(payload)).decode(), KEYS.sealer()) is not None
    payload[field[0]] = field[1]
    assert unseal(KEYS.sealer().encrypt(msgpack.packb(payload)).decode(), KEYS.sealer()) is None
