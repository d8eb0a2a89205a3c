#!/bin/sh
# The disks, as util-linux's own shows them: lsblk --nodeps --noheadings --output NAME, or lsblk -lb --nodeps. Columns are
# as wide in each line, since they are cut by where they are.
names() {
    for block in /sys/block/vd* /sys/block/sd*; do
        [ ! -e "$block" ] || echo "${block##*/}"
    done
}
line() { printf '%-8s %-8s %-2s %16s %-2s %-5s%s\n' "$@"; }
case "$*" in
    *NAME*) names ;;
    *)
        line NAME MAJ:MIN RM SIZE RO TYPE MOUNTPOINTS
        for name in $(names); do
            line "$name" "$(cat "/sys/block/$name/dev")" 0 "$(($(cat "/sys/block/$name/size") * 512))" 0 disk ""
        done
        ;;
esac
