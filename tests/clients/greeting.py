"""A program of a few hundred bytes that greets and ends, to be run FROM scratch.

It is put together here byte by byte, so that no compiler and no base image is wanted.
"""

import platform
import struct

from tests.programs import leave_out

_ADDRESS = 0x400000  # where the file is mapped
_HEADERS_BYTES = 64 + 56  # the ELF header and one program header
_ELF_MACHINES = {"x86_64": 62, "aarch64": 183}


def greeting_program(message: str) -> bytes:
    """Return a static executable that writes the message to its standard output."""
    machine = platform.machine()
    text = message.encode()
    if machine == "x86_64":
        code = _x86_64_code(len(text))
    elif machine == "aarch64":
        code = _aarch64_code(len(text))
    else:
        leave_out(f"no greeting program for {machine}")
    return _headers(_ELF_MACHINES[machine], len(code) + len(text)) + code + text


def _x86_64_code(length_bytes: int) -> bytes:
    after_lea = (
        b"\xba" + struct.pack("<I", length_bytes)  # mov edx, length
        + b"\xb8\x01\x00\x00\x00\x0f\x05"  # mov eax, 1 (write); syscall
        + b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05"  # mov eax, 60 (exit); edi = 0
    )  # fmt: skip
    return (
        b"\xbf\x01\x00\x00\x00"  # mov edi, 1 (standard output)
        + b"\x48\x8d\x35" + struct.pack("<i", len(after_lea))  # lea rsi, [the text]
        + after_lea
    )  # fmt: skip


def _aarch64_code(length_bytes: int) -> bytes:
    def move(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register  # movz

    supervisor_call = 0xD4000001
    words = [
        move(0, 1),  # standard output
        0x10000000 | 7 << 5 | 1,  # adr x1, seven instructions ahead: the text
        move(2, length_bytes),
        move(8, 64),  # write
        supervisor_call,
        move(0, 0),
        move(8, 93),  # exit
        supervisor_call,
    ]
    return struct.pack(f"<{len(words)}I", *words)


def _headers(machine: int, content_bytes: int) -> bytes:
    entry = _ADDRESS + _HEADERS_BYTES
    file_bytes = _HEADERS_BYTES + content_bytes
    elf_header = struct.pack(
        "<4s12sHHIQQQIHHHHHH",
        b"\x7fELF", b"\x02\x01\x01", 2, machine, 1, entry, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )  # fmt: skip
    readable_and_executable = 5
    program_header = struct.pack(
        "<IIQQQQQQ",
        1, readable_and_executable, 0, _ADDRESS, _ADDRESS, file_bytes, file_bytes, 4096
    )  # fmt: skip
    return elf_header + program_header
