"""All of etcd is away for longer than leases live: objects go on, what waits says so, and nobody is taken for dead."""

from __future__ import annotations

import shutil
import sys
import time

import pytest

from tests.cluster.etcd_away import EtcdKilled, EtcdStopped, typed
from tests.cluster.faults import Fault
from tests.cluster.machines import Machine, Site
from tests.cluster.node import PATIENCE, SERVE
from tests.cluster.test_membership import Cloud, make
from tests.cluster.waiting import until

AWAY_SECONDS = 15.0
"""Leases live 10."""
FIRST_BYTES = 5_000_000
UPLOAD = r"""
import http.client, sys, time, pathlib
address, key, go = sys.argv[1:]
connection = http.client.HTTPConnection(address, timeout=120)
connection.request("GET", "/auth/v1.0", headers={"X-Auth-User": "admin:admin", "X-Auth-Key": key})
answer = connection.getresponse()
answer.read()
path, token = "/v1/" + answer.headers["X-Storage-Url"].split("/v1/")[1] + "/slow", answer.headers["X-Auth-Token"]
connection.request("PUT", path, headers={"X-Auth-Token": token})
connection.getresponse().read()
connection.putrequest("PUT", path + "/slow")
connection.putheader("X-Auth-Token", token)
connection.putheader("Transfer-Encoding", "chunked")
connection.endheaders()
def send(content):
    connection.send(b"%x\r\n%s\r\n" % (len(content), content))
send(b"a" * SIZE)
print("begun", flush=True)
while not pathlib.Path(go).exists():
    send(b"b" * 1000)  # who says nothing for long is given up
    time.sleep(0.5)
send(b"")
print("ended", connection.getresponse().status, flush=True)
""".replace("SIZE", str(FIRST_BYTES))


@pytest.mark.process
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("etcd") is None, reason="not installed: etcd")
def test_etcd_is_away_and_comes_back(site: Site) -> None:
    cloud = Cloud(site)
    nodes = make(cloud, "etcd")
    until(lambda: all(node.voters == 3 for node in nodes), PATIENCE)
    machines: list[Machine] = [node.machine for node in nodes]
    ways: list[Fault] = [EtcdStopped(machines), EtcdKilled(machines)]
    for number, way in enumerate(ways):
        go = cloud.client.folder / f"go-{number}"
        where = f"{nodes[0].machine.address}:{SERVE}"
        upload = cloud.client.process(sys.executable, "-c", UPLOAD, where, cloud.key, str(go))
        upload.start()
        until(lambda upload=upload: "begun" in upload.output())  # type: ignore[misc]
        with way:
            ends = time.monotonic() + AWAY_SECONDS
            for times in range(1000):
                cloud.put(nodes, f"away-{number}-{times}")
                if time.monotonic() > ends:
                    break
            cloud.get(nodes)
            code, said, _ = typed(nodes[1], "cluster", "token")
            assert code == 1
            assert "no member of etcd serves now" in said
            assert "does not answer" in nodes[2].typed("status")
        until(lambda: typed(nodes[1], "cluster", "token")[0] == 0, PATIENCE)
        until(lambda: "does not run" not in nodes[1].typed("node", "list"), PATIENCE)
        go.touch()
        until(lambda upload=upload: "ended" in upload.output(), PATIENCE)  # type: ignore[misc]
        assert "ended 201" in upload.output(), "an upload of a process that lives was ended"
        assert all(node.process.running for node in nodes)
    fourth = cloud.add()
    fourth.join(nodes[0])
    fourth.start()
    fourth.add_device()
    cloud.spread(cloud.nodes, times=1)
    cloud.get(cloud.nodes)
