"""The way of a packet through what really is on the hosts: read from them, not from the records.

`packet` is what is sent, `tables` asks nftables' rules about it as the kernel would, `hosts` is what was read, `walk`
goes from link to link. Pure, all of it: nothing is sent anywhere.
"""
