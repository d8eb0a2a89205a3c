#!/bin/sh
# mkfs -t vfat DEVICE
[ "$1 $2" = "-t vfat" ] || { echo "mkfs: vfat alone is made here" >&2; exit 1; }
exec mkdosfs "$3"
