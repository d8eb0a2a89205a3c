#!/bin/busybox sh
# The first process of the test guest: does what cloud-init does, and says on the serial console what came of it.
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
for module in $(cat /modules/order); do insmod "/modules/$module.ko"; done 2>/dev/null
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
stty -echo -onlcr -icanon min 1 time 0
say() { echo "drystone-guest: $*"; }
say starts

# What disks there are: name, bytes, serial.
disks() {
    found=""
    for block in /sys/block/vd* /sys/block/sd*; do
        [ -e "$block/size" ] || continue
        size="" serial=""
        read -r size < "$block/size"
        read -r serial < "$block/serial"
        found="$found,${block##*/}:$((size * 512)):$serial"
    done 2>/dev/null
    echo "${found#,}"
}

# The second partition of its own disk, or a disk without partitions: what is kept there outlives a restart.
for disk in vda sda; do
    for part in "${disk}2" "$disk"; do
        [ -e "/dev/$part" ] && mount -t ext4 "/dev/$part" /kept 2>/dev/null && break 2
    done
done
# What is put into /tmp is found again, as on a disk that is the root of a system.
mkdir -p /kept/tmp
mount --bind /kept/tmp /tmp
ln -s /run /var/run
boots=0
[ -e /kept/boots ] && read -r boots < /kept/boots
boots=$((boots + 1))
echo $boots > /kept/boots
sync

# The power button ends the system.
for name in /sys/class/input/input*/name; do
    [ -e "$name" ] && grep -q "Power Button" "$name" || continue
    for event in "${name%/name}"/event*; do
        ( head -c 24 "/dev/input/${event##*/}" > /dev/null; say "power button"; sync; umount /tmp /kept; poweroff -f ) &
    done
done

# Every network card, also one that comes later.
ip link set lo up
nics() { for nic in /sys/class/net/*; do [ "${nic##*/}" = lo ] || echo "${nic##*/}"; done; }
addresses() {
    ip -o addr show scope global 2>/dev/null | awk '{ split($4, part, "/"); found = found "," part[1] }
        END { print substr(found, 2) }'
}
bring_up() {
    [ -e "/run/$1" ] && return
    touch "/run/$1"
    ip link set "$1" up
    udhcpc -f -i "$1" -p "/run/udhcpc.$1.pid" -t 4 -T 3 -A 3 -O staticroutes -O mtu -s /etc/dhcp > /dev/null 2>&1 &
}
for nic in $(nics); do bring_up "$nic"; done
if [ -n "$(nics)" ]; then
    tries=0
    while [ ! -e /run/bound ] && [ $tries -lt 40 ]; do usleep 250000; tries=$((tries + 1)); done
fi

# Metadata: of the config drive, else of the service.
source=none
mkdir /config
for drive in /dev/sr0 /dev/sr1 /dev/vd? /dev/sd?; do
    [ -e "$drive" ] || continue
    mount -o ro -t iso9660 "$drive" /config 2>/dev/null || mount -o ro -t vfat "$drive" /config 2>/dev/null || continue
    if [ -e /config/openstack/latest/meta_data.json ]; then
        cp -r /config/openstack/latest /metadata
        source=config-drive
        umount /config
        break
    fi
    umount /config
done
# busybox's wget is not usable where it is linked statically: it resolves names, and dies of it. The input stays open: a
# server may take its end for that of the whole.
get() {
    [ -p /run/request ] || mkfifo /run/request
    exec 3<> /run/request
    printf 'GET /openstack/latest/%s HTTP/1.0\r\nHost: 169.254.169.254\r\n\r\n' "$1" >&3
    timeout 10 nc -w 3 169.254.169.254 80 <&3 > /run/answer 2>/dev/null
    exec 3>&-
    head -n 1 /run/answer | grep -q ' 200' && sed "1,/^$(printf '\r')\$/d" /run/answer > "/metadata/$1"
}
if [ $source = none ] && [ -e /run/bound ]; then
    mkdir -p /metadata
    for _ in 1 2 3 4 5; do
        if get meta_data.json; then
            get user_data
            source=metadata
            break
        fi
        sleep 1
    done
fi
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" /metadata/meta_data.json 2>/dev/null | head -n 1; }
uuid=$(field uuid)
name=$(field hostname)
hostname "${name:-drystone}"
mkdir -p /root/.ssh
grep -oE '(ssh|ecdsa)-[^"\\]*' /metadata/meta_data.json 2>/dev/null | head -n 1 > /root/.ssh/authorized_keys
chmod -R go= /root
read -r _ key _ < /root/.ssh/authorized_keys

# User data that is a program: once for each server, as the kept file says.
ran=none
if [ -e /metadata/user_data ]; then
    ran=no-program
    if [ "$(head -c 2 /metadata/user_data)" = '#!' ]; then
        ran=before
        if [ ! -e "/kept/ran-$uuid" ]; then
            chmod 755 /metadata/user_data
            /metadata/user_data < /dev/null
            ran=$?
            touch "/kept/ran-$uuid"
            sync
        fi
    fi
fi

# Who asks from outside: root, with the key that the metadata has.
mkdir -p /dev/pts /etc/dropbear
mount -t devpts none /dev/pts
echo root:x:0:0:root:/root:/bin/sh > /etc/passwd
echo root:x:0: > /etc/group
dropbear -R -s -m -P /run/dropbear.pid 2> /dev/null
nc -ll -p 8080 -e hostname &

say "hostname=$(hostname) uuid=$uuid source=$source key=$key address=$(addresses) disks=$(disks)" \
    "user-data=$ran boots=$boots"
(
    was=$(disks) had=$(addresses)
    while sleep 1; do
        now=$(disks)
        [ "$now" = "$was" ] || say "disks=$now"
        was=$now
        for nic in $(nics); do bring_up "$nic"; done
        has=$(addresses)
        [ "$has" = "$had" ] || say "address=$has"
        had=$has
    done
) &
echo "guest is ready"
sh -c 'while IFS= read -r line; do eval "$line" < /dev/null; done' < /dev/ttyS0 &
wait
poweroff -f
