"""Who is in the directory of the tests."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from tests.authn.backends.directory import READER_PASSWORD, SUFFIX, TALL

PASSWORD: Final = "open sesame"
GUID: Final = UUID("4b0c1a52-7f7e-4d1a-9b61-0a2fffd0c3aa")
ODD: Final = "o*dd (x) \\ y"
"""A name with everything that means something in a filter."""
ODD_DN: Final = "cn=odd\\, one,ou=Users,dc=example,dc=org"


def ldif() -> str:
    return "\n\n".join(_entries()) + "\n"


def _entries() -> Iterator[str]:
    yield f"dn: {SUFFIX}\nobjectClass: organization\nobjectClass: dcObject\no: example\ndc: example"
    yield f"dn: cn=reader,{SUFFIX}\nobjectClass: person\ncn: reader\nsn: Reader\nuserPassword: {READER_PASSWORD}"
    for unit in ("Users", "UserGroups", "Elsewhere"):
        yield f"dn: ou={unit},{SUFFIX}\nobjectClass: organizationalUnit\nou: {unit}"
    yield f"dn: ou=Deep,ou=Users,{SUFFIX}\nobjectClass: organizationalUnit\nou: Deep"
    yield _user("u1", "alice", "mail: alice@example.org", "description: Lives in Köln", "employeeType: TRUE")
    # 514: disabled (2) and an ordinary account (512).
    yield _user("u2", "bob", "employeeType: FALSE", "userAccountControl: 514")
    yield _user("u3", "carol", "userAccountControl: 512", _binary("objectGUID", GUID.bytes_le))
    yield _user("u4", "dave", "employeeType: perhaps", "cn: u1-too", "cn: u5")
    yield _user("u5", "twin")
    yield _user("u6", "twin")
    yield _user("odd, one", ODD).replace("dn: cn=odd, one", "dn: cn=odd\\, one")
    yield _user("deep", "deep").replace(",ou=Users", ",ou=Deep,ou=Users", 1)
    yield _user("stranger", "stranger").replace("ou=Users", "ou=Elsewhere", 1)
    yield _user("passwordless", "passwordless").replace(f"\nuserPassword: {PASSWORD}", "")
    yield f"dn: cn=ref,ou=Users,{SUFFIX}\nobjectClass: referral\nobjectClass: extensibleObject\ncn: ref\nref: ldap://127.0.0.1:1/ou=x"
    for number in range(TALL):
        yield _user(f"tall{number:02}", f"tall {number:02}", "title: tall")
    yield _group("g1", "readers", "description: They read", "member: cn=u1,ou=Users", "member: CN=U2, ou=users")
    yield _group(
        "g2",
        "writers",
        "member: cn=u1,ou=Users",
        "member: cn=odd\\, one,ou=Users",
        "member: cn=gone,ou=Users",
        "member: cn=stranger,ou=Elsewhere",
        "member: cn=deep,ou=Deep,ou=Users",
    )
    yield _group("g3", "nobody", "member: cn=gone,ou=Users", "member: cn=ref,ou=Users")
    members = "\n".join(f"memberUid: {name}" for name in ("u1", "u3", "gone"))
    yield (
        f"dn: cn=posix,ou=UserGroups,{SUFFIX}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 7\n"
        f"description: By ids\n{members}"
    )


def _user(local_id: str, name: str, *more: str) -> str:
    return "\n".join(
        [
            f"dn: cn={local_id},ou=Users,{SUFFIX}",
            "objectClass: inetOrgPerson",
            "objectClass: account7",
            f"cn: {local_id}",
            f"sn: {name}",
            f"userPassword: {PASSWORD}",
            *(_coded(line) for line in more),
        ]
    )


def _group(local_id: str, name: str, *more: str) -> str:
    lines = [f"{line},{SUFFIX}" if line.startswith("member:") else line for line in more]
    head = [f"dn: cn={local_id},ou=UserGroups,{SUFFIX}", "objectClass: groupOfNames", f"cn: {local_id}", f"ou: {name}"]
    return "\n".join([*head, *lines])


def _coded(line: str) -> str:
    name, _, value = line.partition(": ")
    return line if line.isascii() else _binary(name, value.encode())


def _binary(name: str, value: bytes) -> str:
    return f"{name}:: {b64encode(value).decode()}"
