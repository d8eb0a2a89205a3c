"""What runs guests: one small interface, and a driver for each kind of hypervisor. See docs/hypervisors.md."""
