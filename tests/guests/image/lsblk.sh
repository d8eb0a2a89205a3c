#!/bin/sh
# The disks, as util-linux's own shows them: lsblk --nodeps --noheadings --output NAME, or lsblk -lb --nodeps.
names() { for block in /sys/block/vd* /sys/block/sd*; do [ -e "$block" ] && echo "${block##*/}"; done; }
case "$*" in
    *NAME*) names ;;
    *)
        echo "NAME MAJ:MIN RM SIZE RO TYPE MOUNTPOINTS"
        for name in $(names); do
            echo "$name $(cat "/sys/block/$name/dev") 0 $(($(cat "/sys/block/$name/size") * 512)) 0 disk "
        done
        ;;
esac
