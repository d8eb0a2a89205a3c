"""Whether guests run under KVM here. That /dev/kvm is there says little: some machines offer one that interprets each
instruction, or hangs. So a system is booted: a boot sector of ours, or a kernel.

The sector goes to protected mode, counts down from 200 million, and ends QEMU by its debug port:

    cli; xor ax,ax; mov ds,ax; lgdt [7c00+gdtr]; mov eax,cr0; or al,1; mov cr0,eax; jmp 08:7c00+prot
    prot: mov ecx,200000000; 1: dec ecx; jnz 1b; mov dx,0xf4; mov al,0x10; out dx,al; 2: hlt; jmp 2b
    gdt: 0, 00cf9a000000ffff; gdtr: 15, 7c00+gdt

A processor counts that in a tenth of a second, QEMU's emulation in one, a KVM that interprets in minutes.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

SECONDS: Final = 6
RUN: Final = Path("/run/drystone/kvm")
"""What came of it, until the machine boots anew: it keeps a processor busy, and every process would do it again."""
_SECTOR: Final = bytes.fromhex(
    "fa31c08ed80f0116407c0f20c00c010f22c0ea177c0800b900c2eb0b4975fd66baf400b010eef4ebfd8db426000000000000000000000000"
    "ffff0000009acf000f00307c0000"
)
WORKS: Final = "works\n"
_DONE: Final = 0x10 << 1 | 1
"""QEMU's exit status for 0x10 at the port of isa-debug-exit."""


@cache
def kvm_works(kernel: str = "", ramdisk: str = "") -> bool:
    """Boots something, once since the machine itself did: for up to 6 s, and blocks as long. A `kernel` is to power off
    at once, with its `ramdisk`, when it is told `probe`."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    if kernel:
        return boots("kvm", kernel, ramdisk)
    with suppress(OSError):
        return RUN.read_text() == WORKS
    found = boots("kvm")
    with suppress(OSError):  # not root's: it is found out again
        RUN.parent.mkdir(exist_ok=True)
        part = RUN.with_suffix(f".{os.getpid()}")
        part.write_text(WORKS if found else "does not work\n")
        part.replace(RUN)
    return found


def boots(accelerator: str, kernel: str = "", ramdisk: str = "") -> bool:
    """Whether that boots with QEMU's `kvm` or `tcg` in time."""
    # Ended by a process of its own: one that interprets goes on for minutes, whatever becomes of us.
    command = ["timeout", "--signal", "KILL", str(SECONDS), "qemu-system-x86_64", "-accel", accelerator, "-M", "pc"]
    command += ["-nodefaults", "-display", "none", "-no-reboot"]
    with tempfile.NamedTemporaryFile(prefix="probe") as disk:
        if kernel:
            command += ["-m", "256", "-kernel", kernel, "-append", "probe quiet panic=-1"]
            command += ["-initrd", ramdisk] if ramdisk else []
        else:
            disk.write(_SECTOR.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
            disk.flush()
            command += ["-m", "64", "-drive", f"file={disk.name},format=raw,if=ide"]
            command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except OSError:
            return False
    return done.returncode == (0 if kernel else _DONE)
