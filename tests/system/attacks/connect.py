#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""connect.py ADDRESS PORT SECONDS: prints "connected", or what came of it."""
import socket
import sys

try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
    print("connected")
except OSError as problem:
    print(type(problem).__name__)
