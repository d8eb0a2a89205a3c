"""Requests for metadata, and what is said of a port."""

from __future__ import annotations

import json

import pytest

from compute_plugin.networks.agent.metadata.answers import NOT_FOUND, answer
from compute_plugin.networks.agent.metadata.asking import Answer, Asked, port_of
from compute_plugin.networks.agent.metadata.serving import HEAD_MOST, parse
from tests.networks_plan.made import Made, id_of
from tests.networks_plan.scenes import two_hosts


@pytest.fixture(name="made")
def _made() -> Made:
    made = Made()
    two_hosts(made)
    return made


def test_a_port_is_found_by_what_its_server_sends_from(made: Made) -> None:
    port = made.records.ports.require(id_of("one"))
    for source in ("10.0.0.11", "fd00::11", "fe80::f816:3eff:fe00:1"):
        assert port_of(made.records, id_of("net"), source) == port
    for source in ("10.0.0.99", "fe80::1", "fd00::99"):
        assert port_of(made.records, id_of("net"), source) is None
    assert port_of(made.records, id_of("another"), "10.0.0.11") is None


def test_a_request_is_taken_apart(made: Made) -> None:
    head = b"GET /latest/ HTTP/1.1\r\nHost: 169.254.169.254\r\nX-Thing: a: b\r\n\r\n"
    asked = parse(head, id_of("net"), "10.0.0.11", made.records)
    assert isinstance(asked, Asked)
    assert (asked.method, asked.path, asked.port.id) == ("GET", "/latest/", id_of("one"))
    assert asked.headers == {"host": "169.254.169.254", "x-thing": "a: b"}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"\xff\xfe\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 4097\r\n\r\n" + b"x" * 4097, 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * HEAD_MOST, 400),
    ],
)
def test_what_is_no_request(made: Made, head: bytes, status: int) -> None:
    said = parse(head, id_of("net"), "10.0.0.11", made.records)
    assert isinstance(said, Answer)
    assert said.status == status


def test_a_body_is_as_long_as_it_says(made: Made) -> None:
    head = b"POST /openstack/latest/password HTTP/1.1\r\nContent-Length: 6\r\n\r\n"
    asked = parse(head + b"secret and more", id_of("net"), "10.0.0.11", made.records)
    assert isinstance(asked, Asked)
    assert (asked.method, asked.body) == ("POST", b"secret")


def test_strangers_are_told_nothing(made: Made) -> None:
    assert parse(b"GET / HTTP/1.1\r\n\r\n", id_of("net"), "10.0.0.99", made.records) == NOT_FOUND


def test_what_a_port_knows(made: Made) -> None:
    port = made.records.ports.require(id_of("one"))
    assert answer("/", port).body == b"openstack/\nlatest/"
    assert b"local-ipv4" in answer("/latest/meta-data/", port).body
    assert answer("/latest/meta-data/hostname", port).body == b"web"
    document = answer("/openstack/latest/meta_data.json", port)
    assert document.content_type == "application/json"
    assert json.loads(document.body)["uuid"] == port.device_id
    for path in ("/latest/user-data", "/latest/meta-data/x", "/latest/meta-data/mac/more", "/../etc"):
        assert answer(path, port) == NOT_FOUND
