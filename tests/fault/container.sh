#!/bin/sh
# Runs a command as the first process of a container, without an engine: its own mounts, pids and
# IPC, a fresh /dev/shm of 64 MB, a read-only root, few descriptors. What dies with the container
# is gone: /dev/shm. Needs root. SIGKILL to the command ends it all.
#
#   container.sh WRITABLE_DIRECTORY COMMAND...
set -eu
if [ "$1" != --inside ]; then
    exec unshare --mount --pid --ipc --fork --kill-child --mount-proc "$0" --inside "$@"
fi
shift
writable=$1
shift
mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm
mount --bind "$writable" "$writable"
mount -o remount,bind,ro /
ulimit -n 256
exec "$@"
