"""Which exports are those of a guest that goes from host to host: said by the server's record, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compute_plugin.moving import is_moving
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, ServerDisk, Transition, VmState

EXPORTS = "attachment-a", "server-s-1"


def moving(what: str = "live-migrate", **arguments: Any) -> Transition:
    return Transition(what, "t", "r", "u", "p", (), "n1", "", "migrating", arguments, 1)


def server(**said: Any) -> Server:
    disks = (
        ServerDisk(source="image", destination="volume", volume_id="v", attachment_id="a"),
        ServerDisk(source="blank", store_name="server-s-1"),
        ServerDisk(source="blank", destination="volume"),  # not made yet: it has no export
    )
    flavor = Flavor(id="1", name="f", vcpus=1, ram=1, disk=1)
    held: dict[str, Any] = {"flavor": flavor, "host": "n1", "state": VmState.ACTIVE, "disks": disks}
    return Server(
        id="s", number=1, project_id="p", user_id="u", name="s", hostname="s", created_us=1, updated_us=1,
        **{**held, **said},
    )  # fmt: skip


def on_the_way(one: Server, host: str) -> set[str]:
    records = Records()
    records.servers.put(one)
    names = (*EXPORTS, "", "attachment-b", "volume-v", "v")
    return {name for name in names if name and is_moving(records, host, name)}


def test_a_guest_is_on_its_way_until_it_has_arrived() -> None:
    one = server(transition=moving(target="n2"))
    assert on_the_way(one, "n1") == on_the_way(one, "n2") == set(EXPORTS)
    assert on_the_way(one, "n3") == set()
    there = replace(one, host="n2")
    assert on_the_way(there, "n1") == on_the_way(there, "n2") == set()


@pytest.mark.parametrize(
    "transition",
    [None, moving(), moving("migrate", target="n2"), moving("evacuate", target="n2"), moving("rebuild", target="n2")],
)
def test_no_other_guest_is(transition: Transition | None) -> None:
    for host in ("n1", "n2", ""):
        assert on_the_way(server(transition=transition), host) == set()
