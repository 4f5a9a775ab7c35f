#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""touch.py [--signals] PID...: what this process, an ordinary user's, can do to others; a line for each success.

To trace them, to take their descriptors, to look into them through /proc, to join their namespaces; --signals: to signal
them. Whoever can be traced is let go again, and a descriptor that was taken is named by what it leads to.
"""
import ctypes
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_DETACH, PTRACE_INTERRUPT, PIDFD_GETFD = 0x4206, 17, 0x4207, 438
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC = 0x20000, 0x10000000, 0x40000000, 0x8000000


def trace(pid):
    if libc.ptrace(PTRACE_SEIZE, pid, 0, 0) != 0:
        return
    print(f"traced {pid}")
    libc.ptrace(PTRACE_INTERRUPT, pid, 0, 0)
    os.waitpid(pid, 0x40000000)
    libc.ptrace(PTRACE_DETACH, pid, 0, 0)


def take_descriptors(pid):
    process = os.pidfd_open(pid)
    for number in range(64):
        taken = libc.syscall(PIDFD_GETFD, process, number, 0)
        if taken >= 0:
            print(f"took descriptor {number} of {pid}: {os.readlink(f'/proc/self/fd/{taken}')}")
            os.close(taken)
    os.close(process)


def look_into(pid):
    for name in ("mem", "environ", "maps", "root/.", "cwd/.", "fd/0", "fd/1", "fd/2", "fdinfo/0", "ns/user", "ns/mnt", "auxv"):
        try:
            os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_NONBLOCK))
            print(f"opened /proc/{pid}/{name}")
        except OSError:
            pass


def join(pid):
    # In a child, which is nothing to anybody afterwards.
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        process = os.pidfd_open(pid)
        for kinds in (CLONE_NEWUSER, CLONE_NEWUSER | CLONE_NEWNS, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC):
            if libc.setns(process, kinds) == 0:
                print(f"joined namespaces {kinds:#x} of {pid}", flush=True)
        os._exit(0)
    os.waitpid(child, 0)


def main():
    signals = "--signals" in sys.argv
    for pid in (int(word) for word in sys.argv[1:] if word != "--signals"):
        trace(pid)
        take_descriptors(pid)
        look_into(pid)
        join(pid)
        if signals and libc.kill(pid, 0) == 0:
            print(f"may signal {pid}")
    print("tried")


main()
