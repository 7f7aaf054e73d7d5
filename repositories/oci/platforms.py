"""Platforms as bits of one number, so that a search can filter by them. Pure.

A repository's search entry keeps the platforms of its images as a set of bits, one for
each pair below: no other table is asked, however many repositories are looked at. The
place in the list is the bit, so pairs are only ever added at the end, and there is room
for 62. The names are Go's (image-spec config.md: os, architecture).
"""

from collections.abc import Iterable, Iterator

PAIRS = (
    ("linux", "amd64"),
    ("linux", "arm64"),
    ("linux", "arm"),
    ("linux", "386"),
    ("linux", "s390x"),
    ("linux", "ppc64le"),
    ("linux", "riscv64"),
    ("linux", "mips64le"),
    ("linux", "loong64"),
    ("linux", "mips64"),
    ("linux", "mipsle"),
    ("linux", "mips"),
    ("linux", "ppc64"),
    ("windows", "amd64"),
    ("windows", "arm64"),
    ("windows", "arm"),
    ("windows", "386"),
    ("darwin", "amd64"),
    ("darwin", "arm64"),
    ("freebsd", "amd64"),
    ("freebsd", "arm64"),
    ("freebsd", "386"),
    ("freebsd", "arm"),
    ("freebsd", "riscv64"),
    ("netbsd", "amd64"),
    ("netbsd", "arm64"),
    ("openbsd", "amd64"),
    ("openbsd", "arm64"),
    ("solaris", "amd64"),
    ("illumos", "amd64"),
    ("android", "arm64"),
    ("android", "amd64"),
    ("wasip1", "wasm"),
    ("wasi", "wasm"),
    ("js", "wasm"),
    ("aix", "ppc64"),
    ("plan9", "amd64"),
    ("zos", "s390x"),
    ("dragonfly", "amd64"),
)
_BITS = {pair: 1 << place for place, pair in enumerate(PAIRS)}

SYSTEMS = tuple(dict.fromkeys(system for system, _ in PAIRS))
ARCHITECTURES = tuple(dict.fromkeys(architecture for _, architecture in PAIRS))

# What people call them.
SYSTEM_TITLES = {
    "linux": "Linux",
    "windows": "Windows",
    "darwin": "macOS",
    "freebsd": "FreeBSD",
    "netbsd": "NetBSD",
    "openbsd": "OpenBSD",
    "solaris": "Solaris",
    "illumos": "illumos",
    "android": "Android",
    "wasip1": "WASI",
    "wasi": "WASI (old name)",
    "js": "JavaScript",
    "aix": "AIX",
    "plan9": "Plan 9",
    "zos": "z/OS",
    "dragonfly": "DragonFly BSD",
}
ARCHITECTURE_TITLES = {
    "amd64": "x86-64",
    "arm64": "ARM 64",
    "arm": "ARM",
    "386": "386",
    "s390x": "IBM Z",
    "ppc64le": "PowerPC 64 LE",
    "riscv64": "RISC-V 64",
    "mips64le": "MIPS 64 LE",
    "loong64": "LoongArch 64",
    "mips64": "MIPS 64",
    "mipsle": "MIPS LE",
    "mips": "MIPS",
    "ppc64": "PowerPC 64",
    "wasm": "WebAssembly",
}
_OTHER_NAMES = {
    "macos": "darwin",
    "x86-64": "amd64",
    "x86_64": "amd64",
    "x64": "amd64",
    "aarch64": "arm64",
    "armv7": "arm",
    "armv6": "arm",
    "armhf": "arm",
    "x86": "386",
    "i386": "386",
    "riscv": "riscv64",
}


def system_named(name: str) -> str:
    """Return the name that images use for an operating system that someone typed."""
    return _OTHER_NAMES.get(name, name)


def architecture_named(name: str) -> str:
    """Return the name that images use for an architecture that someone typed."""
    return _OTHER_NAMES.get(name, name)


def bit_of(system: str, architecture: str) -> int:
    """Return the bit of a platform; 0 for one that no one can search for."""
    return _BITS.get((system, architecture), 0)


def bits_of(systems: Iterable[str], architectures: Iterable[str]) -> int:
    """Return every platform of these systems and these architectures; none is any."""
    wanted_systems, wanted = set(systems), set(architectures)
    return sum(
        bit
        for (system, architecture), bit in _BITS.items()
        if (not wanted_systems or system in wanted_systems)
        and (not wanted or architecture in wanted)
    )


def pairs_of(bits: int) -> Iterator[tuple[str, str]]:
    """Yield the platforms of a set, in the order of the list."""
    return (pair for pair, bit in _BITS.items() if bits & bit)


def systems_of(bits: int) -> list[str]:
    return list(dict.fromkeys(system for system, _ in pairs_of(bits)))


def architectures_of(bits: int) -> list[str]:
    return list(dict.fromkeys(architecture for _, architecture in pairs_of(bits)))
