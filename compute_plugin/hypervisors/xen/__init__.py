"""Xen by libvirt (libxl)."""
