"""QEMU's own commands (QMP) to a domain that runs, through libvirt. libvirt marks such a domain as tainted.

https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html
"""

from __future__ import annotations

import json
from typing import Any

import libvirt_qemu

from compute_plugin.hypervisors.interface import HypervisorError
from compute_plugin.hypervisors.libvirt.connection import call


class MonitorError(HypervisorError):
    """QEMU refused a command."""


async def execute(domain: Any, command: str, **arguments: Any) -> Any:
    """What QEMU returns; underscores in names of arguments become hyphens. Raises MonitorError, and as `call` does."""
    wanted = {"execute": command, "arguments": {name.replace("_", "-"): value for name, value in arguments.items()}}
    answer = json.loads(await call(libvirt_qemu.qemuMonitorCommand, domain, json.dumps(wanted), 0))
    if "error" in answer:
        raise MonitorError(f"{command}: {answer['error'].get('desc', answer['error'])}")
    return answer["return"]
