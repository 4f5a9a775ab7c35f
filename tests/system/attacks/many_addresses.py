#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""many_addresses.py INTERFACE COUNT: sends so many frames, each from another hardware address."""
import socket
import sys

interface, count = sys.argv[1], int(sys.argv[2])
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind((interface, 0))
sent = 0
for number in range(count):
    source = bytes([2, 99]) + number.to_bytes(4, "big")
    sent += raw.send(b"\xff" * 6 + source + b"\x08\x06" + bytes(46)) == 60
print(f"sent {sent}")
