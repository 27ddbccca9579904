#!/usr/bin/python3
"""drgn 0.0.22, as Debian 12 has it, on a guest that runs (ringside --qmp unix:SOCKET):

    drgn_live.py SOCKET VMLINUX [SCRIPT]

runs SCRIPT with `prog`, or lists the guest's tasks. drgn 0.2 does the same by itself:
drgn --qemu SOCKET. Memory is read directly, by process_vm_readv(2), which takes the right to trace
ringside.
"""

import array
import ctypes
import json
import os
import re
import socket
import sys
import tempfile

import drgn


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile()
        self.lines.readline()  # the greeting
        self.run("qmp_capabilities")

    def run(self, command, descriptor=None, **arguments):
        line = json.dumps({"execute": command, "arguments": arguments}).encode()
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
            if descriptor is not None
            else []
        )
        self.socket.sendmsg([line], rights)
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                sys.exit(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def monitor(self, line):
        return self.run("human-monitor-command", **{"command-line": line})

    def peer(self):
        credentials = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int.from_bytes(credentials[:4], "little")


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


libc = ctypes.CDLL(None, use_errno=True)


def reader(pid, first, host):
    """What drgn calls for guest memory from the physical address `first` on."""

    def read(address, count, offset, physical):
        buffer = ctypes.create_string_buffer(count)
        local = Vector(ctypes.addressof(buffer), count)
        remote = Vector(host + address - first, count)
        got = libc.process_vm_readv(
            pid, ctypes.byref(local), ctypes.c_ulong(1), ctypes.byref(remote), ctypes.c_ulong(1), ctypes.c_ulong(0)
        )
        if got != count:
            raise drgn.FaultError(os.strerror(ctypes.get_errno()), address)
        return buffer.raw

    return read


qmp = Qmp(sys.argv[1])
tree = qmp.monitor("info mtree -f").split(' AS "memory"')[1]
ranges = [
    (int(first, 16), int(last, 16))
    for first, last in re.findall(r"^ *([0-9a-f]+)-([0-9a-f]+) \(prio \d+, ram\)", tree, re.MULTILINE)
]

prog = drgn.Program()
with tempfile.NamedTemporaryFile() as core:
    # One byte of memory, with VMCOREINFO, which says where the kernel is.
    qmp.run("getfd", descriptor=core.fileno(), fdname="core")
    qmp.run("dump-guest-memory", paging=False, protocol="fd:core", begin=ranges[0][0], length=1)
    prog.set_core_dump(core.name)
    core.seek(0)
    notes = core.read()
# It walks page tables from swapper_pg_dir on, whose address is in the mapping of the kernel's image.
physical_base = int(re.search(rb"NUMBER\(phys_base\)=(-?\d+)", notes)[1])
image = 0xFFFFFFFF80000000 - physical_base
for first, last in ranges:
    host = int(qmp.monitor(f"gpa2hva {first:#x}").split(" is ")[1], 16)
    prog.add_memory_segment(first, last - first + 1, reader(qmp.peer(), first, host), physical=True)
    begin, end = max(first, physical_base), min(last + 1, physical_base + (512 << 20))
    if begin < end:
        prog.add_memory_segment(image + begin, end - begin, reader(qmp.peer(), image + first, host))
prog.load_debug_info([sys.argv[2]])

if len(sys.argv) > 3:
    with open(sys.argv[3]) as script:
        exec(compile(script.read(), sys.argv[3], "exec"), {"prog": prog, "__name__": "__main__"})
else:
    from drgn.helpers.linux.pid import for_each_task

    for task in for_each_task(prog):
        print(task.pid.value_(), task.comm.string_().decode())
