#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""trace_exit.py PID: stops the process in its exit, whatever kills it, until there is a file "enough"."""
import ctypes
import os
import sys
import time

PTRACE_SEIZE = 0x4206
PTRACE_O_TRACEEXIT = 0x40

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
if libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, PTRACE_O_TRACEEXIT) != 0:
    sys.exit("seize: " + os.strerror(ctypes.get_errno()))
print("holds", flush=True)
while not os.path.exists("enough"):
    time.sleep(0.05)
