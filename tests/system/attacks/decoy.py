#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""decoy.py -name guest=MACHINE: looks like the QEMU of a machine, until there is a file "enough"."""
import os
import time

while not os.path.exists("enough"):
    time.sleep(0.05)
