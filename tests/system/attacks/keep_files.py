#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""keep_files.py: outside of a machine, waits at the socket "hand-over" for descriptors of a task in it: of a big file in
the machine's memory, of a file and of a folder on its disk. Says "holds". When there is a file "ended" it says what it
can still do with them, and keeps them until there is a file "enough"."""
import os
import time

from hand_over import receive


def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.05)


def can(what, *arguments, **named):
    try:
        return what(*arguments, **named)
    except OSError as problem:
        return problem.strerror


def grow(fd):
    """How many bytes of 64 MiB it takes."""
    taken = 0
    for _ in range(64):
        count = can(os.write, fd, b"x" * (1 << 20))
        if not isinstance(count, int):
            break
        taken += count
    return taken


def make_files(folder):
    made = 0
    for number in range(1000):
        fd = can(os.open, f"more-{number}", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
        if isinstance(fd, int):
            os.close(fd)
            made += 1
    return made


memory, disk, folder = receive(3)
print(f"holds {os.fstat(memory).st_blocks * 512} bytes", flush=True)
wait_for("ended")
print(f"memory: {os.fstat(memory).st_blocks * 512} bytes are kept", flush=True)
print(f"memory: {grow(memory)} bytes more", flush=True)
print(f"disk: {grow(disk)} bytes more", flush=True)
print(f"disk: {make_files(folder)} files more", flush=True)
print("done", flush=True)
wait_for("enough")
