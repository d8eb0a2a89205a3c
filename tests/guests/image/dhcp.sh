#!/bin/sh
# What udhcpc was given is put into force.
case "$1" in
    deconfig)
        ip -4 addr flush dev "$interface"
        ;;
    bound | renew)
        ip -4 addr replace "$ip/$mask" dev "$interface"
        [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
        if [ -n "$staticroutes" ]; then
            set -- $staticroutes
            while [ $# -ge 2 ]; do
                [ "$2" = 0.0.0.0 ] && ip route replace "$1" dev "$interface" || ip route replace "$1" via "$2"
                shift 2
            done
        else
            for gateway in $router; do ip route replace default via "$gateway"; done
        fi
        : > /etc/resolv.conf
        for server in $dns; do echo "nameserver $server" >> /etc/resolv.conf; done
        touch /run/bound
        ;;
esac
