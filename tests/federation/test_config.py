"""What an operator writes down of those who are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authn.federation.config import parse_federation
from drystone.identity_file import read_identity_file
from store.core.errors import InvalidError

BLOCK = {
    "identity_provider": "acme",
    "protocol": "openid",
    "issuer": "https://login.example.com",
    "client_id": "drystone",
}
DASHBOARD = "https://dashboard.example.com/auth/websso/"
PUBLIC = "https://cloud.example.com/identity"


def test_all_of_it() -> None:
    second = {**BLOCK, "protocol": "mapped"}
    found = parse_federation(
        {"openid_provider": [BLOCK, second], "trusted_dashboards": [DASHBOARD], "public_url": PUBLIC + "/"}
    )
    assert [(it.identity_provider, it.protocol) for it in found.providers] == [
        ("acme", "openid"),
        ("acme", "mapped"),
    ]
    assert found.dashboards.require_trusted(DASHBOARD) == DASHBOARD
    assert found.public_url == PUBLIC


def test_nothing_trusts_nobody() -> None:
    found = parse_federation({})
    assert (found.providers, found.public_url) == ((), "")
    assert parse_federation({"openid_provider": [BLOCK]}).public_url == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"openid_providers": []}, "openid_providers"),
        ({"openid_provider": BLOCK}, "openid_provider: not of type 'array'"),
        ({"openid_provider": [BLOCK, BLOCK]}, r"openid_provider\[1\].*twice"),
        ({"openid_provider": [{**BLOCK, "issuer": "http://login.example.com"}]}, r"openid_provider\[0\].issuer"),
        ({"openid_provider": [{**BLOCK, "protocol": "x509"}]}, r"openid_provider\[0\].protocol"),
        ({"trusted_dashboards": [DASHBOARD]}, "public_url"),
        ({"trusted_dashboards": ["dashboard"], "public_url": PUBLIC}, "'dashboard'"),
        ({"trusted_dashboards": [7], "public_url": PUBLIC}, r"trusted_dashboards\[0\]"),
        *(
            ({"public_url": url}, "public_url")
            for url in (
                7,
                "cloud.example.com/identity",
                "ftp://cloud.example.com",
                "https:///identity",
                "https://cloud.example.com/identity?a=b",
                "https://cloud.example.com/#x",
                "https://user@cloud.example.com/",
                "https://cloud.example.com:port/",
                "https://[::1/identity",
                "https://cloud.example.com/a b",
                "https://cloud.example.com/a\x7fb",
                "https://cloud.exämple.com/",
                "https://cloud.example.com/a;b",
            )
        ),
    ],
)
def test_what_is_wrong_is_named(value: Any, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        parse_federation(value)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "identity.toml"
    lines = [f'{name} = "{value}"' for name, value in BLOCK.items()]
    path.write_text("\n".join(["[[openid_provider]]", *lines]))
    assert read_identity_file(str(path)).federation.providers[0].issuer == BLOCK["issuer"]
    for text, said in (("[[openid", "no TOML"), ("a = 1", "'a' was unexpected"), ("\udcff", "cannot be read")):
        path.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(InvalidError, match=said) as caught:
            read_identity_file(str(path))
        assert str(path) in str(caught.value)
    with pytest.raises(InvalidError, match="cannot be read"):
        read_identity_file(str(tmp_path / "missing.toml"))
