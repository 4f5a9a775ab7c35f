#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""fork_uids.py COUNT: as root, forks so many processes as each of the uids 1 to 5; prints how many there are in all."""
import os
import sys
import time


def fork_many(uid, wanted):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    made = 0
    try:
        for _ in range(wanted):
            if os.fork() == 0:
                time.sleep(1000)
                os._exit(0)
            made += 1
    except OSError:
        pass
    return made


total = 0
try:
    for number in range(1, 6):
        told, tell = os.pipe()
        if os.fork() == 0:
            os.write(tell, b"%d" % fork_many(number, int(sys.argv[1])))
            time.sleep(1000)
            os._exit(0)
        total += int(os.read(told, 20))
except OSError:
    pass
print(total, flush=True)
# With all that hold the output open.
os.killpg(0, 9)
