"""Containers of Linux by libvirt. They share the host's kernel: see docs/hypervisors.md for what that means."""
