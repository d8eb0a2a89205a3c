"""The examples of docs/examples, with the real HAProxy and keepalived on machines of their own: the address of clients
moves when its front dies, and a node that is killed under load costs no client more than a request that it repeats."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.machines import Machine, Process, Site
from tests.cluster.test_membership import Cloud, make
from tests.cluster.waiting import until

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ADDRESS = "10.9.0.100"
PATIENCE = 120.0
SETTLED = 300
"""Operations after which what happened before is over."""
CLIENT = """
import http.client, json, sys, time
address, user, key = sys.argv[1:]
connection = None
def ask(method, path, body=None, **headers):
    global connection
    if connection is None:
        connection = http.client.HTTPConnection(address, timeout=5)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers
repeats, most, since = 0, 0, {}
def sure(method, path, body=None, **headers):
    global connection, repeats, most
    tries = 0
    while True:
        why = ""
        try:
            status, content, fields = ask(method, path, body, **headers)
            if status < 500:
                most = max(most, tries)
                return status, content, fields
            why = str(status)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            connection, why = None, repr(error)
        tries += 1
        repeats += 1
        since[why] = since.get(why, 0) + 1
        time.sleep(0.1)
status, _, fields = sure("GET", "/auth/v1.0", X_Auth_User=user, X_Auth_Key=key)
assert status == 200, status
path = "/v1/" + fields["X-Storage-Url"].split("/v1/")[1] + "/front"
token = {"X_Auth_Token": fields["X-Auth-Token"]}
assert fields["X-Storage-Url"].startswith("http://" + address), fields["X-Storage-Url"]
assert sure("PUT", path, **token)[0] in (201, 202)
number = 0
while True:
    number += 1
    content = b"%d" % number
    assert sure("PUT", f"{path}/o{number}", content, **token)[0] == 201
    status, got, _ = sure("GET", f"{path}/o{number}", **token)
    assert (status, got) == (200, content), (status, got)
    print(json.dumps({"done": number, "repeats": repeats, "most": most, "why": since}), flush=True)
"""


class Front:
    """A machine with HAProxy and keepalived, by the examples."""

    def __init__(self, machine: Machine, nodes: list[str], priority: int) -> None:
        self.machine = machine
        haproxy = (EXAMPLES / "front" / "haproxy.cfg").read_text()
        for number, address in enumerate(nodes, 1):
            assert f"10.0.0.{number}:8080" in haproxy
            haproxy = haproxy.replace(f"10.0.0.{number}:8080", f"{address}:8080")
        keepalived = (EXAMPLES / "front" / "keepalived.conf").read_text()
        keepalived = keepalived.replace("10.0.0.100", ADDRESS).replace("priority 101\n", f"priority {priority}\n")
        for name, content in ("haproxy.cfg", haproxy), ("keepalived.conf", keepalived):
            (machine.folder / name).write_text(content)
        self.processes = [
            machine.process("haproxy", "-db", "-f", str(machine.folder / "haproxy.cfg")),
            machine.process(
                "keepalived", "--dont-fork", "--log-console", "--vrrp", f"--use-file={machine.folder}/keepalived.conf",
                f"--pid={machine.folder}/keepalived.pid", f"--vrrp_pid={machine.folder}/vrrp.pid",
            ),
        ]  # fmt: skip

    def start(self) -> None:
        """As a machine does that boots: with nothing left of the life before."""
        for left in self.machine.folder.glob("*.pid"):
            left.unlink()
        if self.has_address:
            self.machine.run("ip", "address", "flush", "to", ADDRESS, "dev", "eth0")
        for process in self.processes:
            process.start()

    @property
    def has_address(self) -> bool:
        return f"inet {ADDRESS}/" in self.machine.run("ip", "-4", "address", "show", "dev", "eth0")


def said(client: Process) -> dict[str, Any]:
    """What the client has seen so far."""
    assert client.running, client.output()
    lines = client.output().rpartition("\n")[0].splitlines()  # the last one may still be on its way
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {"done": 0, "repeats": 0, "most": 0}
    return found


def goes_on(client: Process) -> None:
    done = said(client)["done"]
    until(lambda: said(client)["done"] >= done + SETTLED, PATIENCE)


@pytest.mark.process
@pytest.mark.timeout(600)
def test_the_address_moves_and_a_killed_node_costs_a_repeated_request(site: Site) -> None:
    missing = [tool for tool in ("haproxy", "keepalived", "curl") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    cloud = Cloud(site)
    nodes = make(cloud, "embedded")
    fronts = [Front(site.add(zone=9), [node.machine.address for node in nodes], 101 - number) for number in range(2)]
    first, second = fronts
    for front in fronts:
        front.start()
    until(lambda: first.has_address and not second.has_address, PATIENCE)
    client = cloud.client.process(sys.executable, "-c", CLIENT, f"{ADDRESS}:8080", "admin:admin", cloud.key)
    client.start()
    until(lambda: said(client)["done"] >= SETTLED, PATIENCE)
    assert said(client)["repeats"] == 0

    nodes[2].machine.crash()
    goes_on(client)
    assert said(client)["most"] <= 1, said(client)
    nodes[2].start()
    until(lambda: all(node.settled(3) for node in nodes), PATIENCE)
    before = said(client)["repeats"]
    nodes[1].process.signal(15)
    nodes[1].process.wait()
    goes_on(client)
    assert said(client)["repeats"] == before, said(client)  # it had said before that it would stop

    first.machine.crash()
    until(lambda: second.has_address, PATIENCE)
    goes_on(client)
    first.start()
    until(lambda: first.has_address and not second.has_address, PATIENCE)
    goes_on(client)
    first.processes[0].kill()  # HAProxy alone
    until(lambda: second.has_address and not first.has_address, PATIENCE)
    goes_on(client)


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("not installed: systemd-analyze")
    unit = (EXAMPLES / "systemd" / "drystone.service").read_text()
    assert "Type=notify" in unit
    program = "/opt/drystone/bin/drystone"
    assert f"ExecStart={program} --data /var/lib/drystone up " in unit
    (tmp_path / "drystone.service").write_text(unit.replace(program, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "drystone.service")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
