"""VMware ESX and vCenter by libvirt."""
