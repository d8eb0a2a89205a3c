"""A test guest: its domain, and its serial console with a shell behind it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import libvirt
import libvirt_qemu
import trio

from compute_plugin.hypervisors.libvirt.connection import call
from store.blocks.bell import Bell
from store.core.beside import beside
from tests.guests.initrd import READY

SILENCE_SECONDS = 10.0
PATIENCE = 90.0
"""Seconds for one step of a guest under emulation on a busy machine: far more than it needs."""


@dataclass(frozen=True)
class System:
    """What guests run."""

    kernel: Path
    initrd: Path
    accelerator: str
    """As libvirt calls it: kvm, or qemu for software emulation."""


class Console:
    """The serial console of one guest, and all that it has said. `read` has to run."""

    def __init__(self, stream: trio.SocketStream, explain: Callable[[], Awaitable[str]]) -> None:
        """`explain` says what is known of a guest that says nothing."""
        self._stream = stream
        self._explain = explain
        self._count = 0
        self._said = Bell()
        self._gone = False
        self.text = ""
        self.place = 0
        """What is before has been waited for already."""

    async def read(self) -> None:
        """Take what the guest says as it comes, for ever. What nobody takes holds it up: QEMU sends each byte by
        itself, and some 280 of them fill the socket; then whoever writes to the console in the guest waits."""
        with suppress(trio.BrokenResourceError):
            while part := await self._stream.receive_some():
                self.text += part.decode(errors="replace")
                self._said.ring()
        self._gone = True
        self._said.ring()

    async def wait(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        """Until the guest says this, in what has not been waited for yet."""
        found = None
        with trio.move_on_after(patience):
            while (found := re.compile(pattern).search(self.text, self.place)) is None:
                assert not self._gone, f"the guest is gone; it said:\n{self.text[-3000:]}"
                await self._said.wait()
        if found is None:
            raise AssertionError(
                f"the guest does not say {pattern!r}; it said:\n{self.text[-3000:]}\n{await self._silence()}"
            )
        self.place = found.end()
        return found

    async def _silence(self) -> str:
        """What is known of it: an interrupt wakes a console whose last one was lost, and QEMU says what it does."""
        before = len(self.text)
        await self.begin("")
        with trio.move_on_after(SILENCE_SECONDS):
            while len(self.text) == before and not self._gone:
                await self._said.wait()
        woken = self.text[before:]
        return f"then a line was typed, and it said {woken[:200]!r}\n{await self._explain()}"

    async def begin(self, command: str) -> None:
        """Type a command, and do not wait for its end."""
        await self._stream.send_all(command.encode() + b"\n")

    async def start(self, command: str) -> None:
        """Have a command run in the background. It is no child of the shell that reads what is typed: where one of
        those ends while a line comes, what came of that is lost, and the rest is taken for a command."""
        await self.begin(f"( ( {command} ) & )")

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


async def _doing(domain: Any) -> str:
    """What QEMU says of a guest; also where it does not answer."""
    said: list[str] = []
    for command in ("info status", "info registers", "info block", "info blockstats", "info pci"):
        ask = partial(
            libvirt_qemu.qemuMonitorCommand, domain, command, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
        )
        with trio.move_on_after(SILENCE_SECONDS) as waiting:
            said.append(f"{command}:\n{await trio.to_thread.run_sync(ask, abandon_on_cancel=True)}")
        if waiting.cancelled_caught:
            return "\n".join([*said, f"{command}: QEMU does not answer"])
    return "\n".join(said)


@asynccontextmanager
async def guest(connection: Any, system: System, folder: Path, name: str, *disks: str) -> AsyncIterator[Guest]:
    """A guest that is paused before its first instruction; destroyed at the end."""
    flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_VALIDATE
    domain = await call(connection.createXML, domain_xml(system, name, folder, *disks), flags)
    try:
        async with await trio.open_unix_socket(f"{folder / name}.tty") as stream:
            console = Console(stream, partial(_doing, domain))
            async with beside(console.read):
                yield Guest(domain, console)
    finally:
        with trio.CancelScope(shield=True):
            await call(domain.destroy)
