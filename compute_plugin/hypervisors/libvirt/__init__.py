"""libvirt from trio, and volumes as disks of its guests. See docs/guests.md."""
