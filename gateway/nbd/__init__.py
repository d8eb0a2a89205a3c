"""Network Block Device: volumes as disks of virtual machines and kernels. See docs/nbd.md."""
