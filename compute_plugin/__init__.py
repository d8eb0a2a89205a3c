"""Guests (virtual machines) that have volumes as disks, through libvirt. See docs/guests.md."""
