#!/bin/busybox sh
# The first process of the test container: takes its address, asks the metadata service who it is, and says so.
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
say() { echo "drystone-container: $*"; }
trap 'say ends; exit 0' TERM
boots=0
[ -e /kept/boots ] && read -r boots < /kept/boots
boots=$((boots + 1))
echo $boots > /kept/boots
sync
rm -rf /run/*
ip link set lo up
source=none
if [ -e /sys/class/net/eth0 ]; then
    ip link set eth0 up
    udhcpc -f -i eth0 -p /run/udhcpc.pid -t 4 -T 3 -A 3 -O staticroutes -O mtu -s /etc/dhcp > /dev/null 2>&1 &
    tries=0
    while [ ! -e /run/bound ] && [ $tries -lt 120 ]; do usleep 250000; tries=$((tries + 1)); done
    mkfifo /run/request
    exec 3<> /run/request
    printf 'GET /openstack/latest/meta_data.json HTTP/1.0\r\nHost: 169.254.169.254\r\n\r\n' >&3
    timeout 10 nc -w 3 169.254.169.254 80 <&3 > /run/answer 2>/dev/null
    exec 3>&-
    head -n 1 /run/answer | grep -q ' 200' && source=metadata
fi
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" /run/answer 2>/dev/null | head -n 1; }
address=$(ip -o addr show dev eth0 scope global 2>/dev/null | awk '{ split($4, part, "/"); print part[1]; exit }')
dropbear -R -s -P /run/dropbear.pid 2> /dev/null
say "hostname=$(field hostname) uuid=$(field uuid) source=$source address=$address boots=$boots" \
    "memory=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)"
while :; do usleep 200000; done
