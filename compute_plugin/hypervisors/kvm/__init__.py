"""QEMU by libvirt: hardware virtualisation where it works, emulation where it does not."""
