#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""take_ptys.py: as root of a machine, mounts a devpts of its own, opens ptys until there is none left, says how many, and
keeps them until there is a file "enough"."""
import ctypes
import os
import resource
import sys
import tempfile
import time

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
if libc.unshare(CLONE_NEWNS) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
folder = tempfile.mkdtemp(dir="/dev/shm")
if libc.mount(b"devpts", folder.encode(), b"devpts", 0, b"newinstance,max=100000,ptmxmode=666") != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
ptys = []
try:
    while True:
        ptys.append(os.open(f"{folder}/ptmx", os.O_RDWR | os.O_NOCTTY))
except OSError as problem:
    print(f"holds {len(ptys)}: {problem.strerror}", flush=True)
while not os.path.exists("enough"):
    time.sleep(0.2)
