#!/bin/sh
# What the metadata service says: curl [-X METHOD] [-d DATA] http://169.254.169.254/path. busybox's own wget dies of names.
method=GET data=
while [ $# -gt 1 ]; do
    case "$1" in
        -X) method=$2 && shift ;;
        -d) data=$2 && shift ;;
    esac
    shift
done
rest=${1#http://}
host=${rest%%/*}
path=${rest#"$host"}
pipe=$(mktemp -u)
mkfifo "$pipe"
exec 3<> "$pipe"
rm "$pipe"
printf '%s %s HTTP/1.0\r\nHost: %s\r\nContent-Length: %s\r\n\r\n%s' \
    "$method" "${path:-/}" "$host" "${#data}" "$data" >&3
timeout 10 nc -w 3 "$host" 80 <&3 3>&- | sed "1,/^$(printf '\r')\$/d"
