"""Devices of other processes: `DevicePort` over `store.wire`, and who answers for the devices of this one."""
