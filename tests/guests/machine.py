"""A test guest: its domain, and its serial console with a shell behind it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import libvirt
import trio

from compute_plugin.connection import call
from tests.guests.initrd import READY

PATIENCE = 90.0
"""Seconds for one step of a guest under emulation on a busy machine: far more than it needs."""


@dataclass(frozen=True)
class System:
    """What guests run."""

    kernel: Path
    initrd: Path
    accelerator: str
    """As libvirt calls it: kvm, or qemu for software emulation."""


def kvm_works(kernel: Path, initrd: Path) -> bool:
    """Whether the kernel boots under KVM. That /dev/kvm is there says little: guests may hang."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    options = ("-display", "none", "-nodefaults", "-no-reboot", "-m", "256", "-append", "probe quiet panic=-1")
    command = ["qemu-system-x86_64", "-accel", "kvm", "-kernel", str(kernel), "-initrd", str(initrd), *options]
    try:
        return subprocess.run(command, capture_output=True, timeout=6, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class Console:
    """The serial console of one guest, and all that it has said."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._count = 0
        self.text = ""
        self.place = 0
        """What is before has been waited for already."""

    async def wait(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        """Until the guest says this, in what has not been waited for yet."""
        found = None
        with trio.move_on_after(patience):
            while (found := re.compile(pattern).search(self.text, self.place)) is None:
                part = await self._stream.receive_some()
                assert part, f"the guest is gone; it said:\n{self.text[-3000:]}"
                self.text += part.decode(errors="replace")
        assert found is not None, f"the guest does not say {pattern!r}; it said:\n{self.text[-3000:]}"
        self.place = found.end()
        return found

    async def begin(self, command: str) -> None:
        """Type a command, and do not wait for its end."""
        await self._stream.send_all(command.encode() + b"\n")

    async def run(self, command: str, patience: float = PATIENCE) -> str:
        """What a command printed. It is to succeed."""
        self._count += 1
        await self.begin(f"echo '<{self._count}>'; {{ {command} ; }} 2>&1; echo \"<{self._count} $?>\"")
        await self.wait(f"<{self._count}>\r?\n", patience)
        begin = self.place
        done = await self.wait(rf"<{self._count} (\d+)>", patience)
        printed = self.text[begin : done.start()]
        assert done[1] == "0", f"{command}: {printed}"
        return printed.replace("\r", "").strip()


def domain_xml(system: System, name: str, folder: Path, *disks: str) -> str:
    return f"""<domain type='{system.accelerator}'>
  <name>{name}</name>
  <memory unit='MiB'>192</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{escape(str(system.kernel))}</kernel>
    <initrd>{escape(str(system.initrd))}</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 no_timer_check</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {"".join(disks)}
    <controller type='usb' model='none'/>
    <serial type='unix'><source mode='bind' path='{escape(str(folder / name))}.tty'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>"""


@dataclass
class Guest:
    domain: Any
    console: Console

    async def state(self) -> tuple[int, int]:
        """libvirt's state of the domain, and its reason."""
        state, reason = await call(self.domain.state)
        return state, reason

    async def ready(self) -> None:
        await self.console.wait(READY)

    async def reboot(self) -> None:
        """Without a word to the system in it: what was not flushed is lost."""
        await call(self.domain.reset)
        await self.ready()


@asynccontextmanager
async def guest(connection: Any, system: System, folder: Path, name: str, *disks: str) -> AsyncIterator[Guest]:
    """A guest that is paused before its first instruction; destroyed at the end."""
    flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_VALIDATE
    domain = await call(connection.createXML, domain_xml(system, name, folder, *disks), flags)
    try:
        async with await trio.open_unix_socket(f"{folder / name}.tty") as stream:
            yield Guest(domain, Console(stream))
    finally:
        with trio.CancelScope(shield=True):
            await call(domain.destroy)
