"""The mini guest: a Linux that boots to a shell in seconds, for whoever needs a guest that knows disks and networks.

It is made of Debian's own packages (kernel, busybox, syslinux), which are downloaded and unpacked, not installed.
The image is not part of Kilonova and is not to be committed: it contains GPL software.
"""
