# SPDX-License-Identifier: Apache-2.0
"""hand_over.py: the other side of pass_files.c, for the programs beside it."""
import array
import socket


def receive(count):
    """Waits at the socket "hand-over" for so many descriptors; says "listens" first."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("hand-over")
    listener.listen()
    print("listens", flush=True)
    task, _ = listener.accept()
    descriptors = array.array("i")
    _, ancillary, _, _ = task.recvmsg(1, socket.CMSG_SPACE(count * descriptors.itemsize))
    descriptors.frombytes(ancillary[0][2])
    return descriptors
