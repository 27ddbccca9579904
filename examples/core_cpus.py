#!/usr/bin/env drgn
"""The backtrace of each vCPU in a core of a guest that ringside (or QEMU) has written:

    drgn -c core -s vmlinux examples/core_cpus.py core

drgn finds a CPU's registers by the process that it was in, and those who only see a machine from
outside do not know of processes. Here they are taken from the core by the CPU's number.
"""

import struct
import sys

from drgn import Object, sizeof


def notes(file):
    """Type and content of each note of a 64-bit core whose first program header has them."""
    file.seek(64)
    offset, _, _, size = struct.unpack_from("<4Q", file.read(56), 8)
    file.seek(offset)
    data = file.read(size)
    at = 0
    while at < size:
        name_size, length, kind = struct.unpack_from("<3I", data, at)
        at += 12
        name = data[at : at + name_size - 1]
        at += (name_size + 3) // 4 * 4
        yield name, kind, data[at : at + length]
        at += (length + 3) // 4 * 4


with open(sys.argv[1], "rb") as core:
    statuses = [data for name, kind, data in notes(core) if (name, kind) == (b"CORE", 1)]
for cpu, status in enumerate(statuses):
    # The registers of NT_PRSTATUS begin as the kernel's pt_regs do.
    registers = status[112 : 112 + sizeof(prog.type("struct pt_regs"))]
    print("cpu", cpu)
    print(prog.stack_trace(Object.from_bytes_(prog, "struct pt_regs", registers)))
