"""Shutting the reading process in before it touches a stranger's file: no network, few files, hard limits.

Each measure is tried; what the kernel or our rights do not allow is said in the result, never passed over. Linux only,
through the C library alone. ``shut_in`` must run before any library that starts threads is loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from statewide.reading_limits import MIB, Limits

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9

# Landlock has the same system call numbers on every architecture.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FS_REMOVE_FILE, _FS_MAKE_REG, _FS_TRUNCATE = 1 << 5, 1 << 8, 1 << 14
_FS_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many of the rights each version knows
_NET_TCP = 0b11
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

# What the interpreter and the map libraries load while they work: code, character tables, projections, time zones.
_SYSTEM_PATHS = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/proj",
    "/usr/share/gdal",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/urandom",
)

# Read by GDAL and PROJ when they are loaded. The proxy leads nowhere: it stands in where the network cannot be taken
# away.
ENVIRONMENT = {
    "GDAL_HTTP_PROXY": "127.0.0.1:9",
    "GDAL_HTTPS_PROXY": "127.0.0.1:9",
    "GDAL_HTTP_TIMEOUT": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "1",
    "GDAL_HTTP_MAX_RETRY": "0",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "PROJ_NETWORK": "OFF",
    "GDAL_NUM_THREADS": "1",
    "OGR_GPKG_NUM_THREADS": "1",
    "OGR_ARC_STEPSIZE": "1",
    "GML_DOWNLOAD_SCHEMA": "NO",
    "GML_FIELDTYPES": "ALWAYS_STRING",  # else 007 becomes 7
    "DXF_INLINE_BLOCKS": "FALSE",
    "OGR_FLATGEOBUF_STREAM_BASE_IMPL": "YES",  # its own Arrow stream garbles rows without a shape (GDAL 3.12)
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # a process with threads cannot be forked safely
    "PYTHONDONTWRITEBYTECODE": "1",
    "LC_ALL": "C.UTF-8",
}


# The tap: errors that the readers swallow are written to a log, named by CPL_LOG (all four settings are needed). Set in
# the reader alone: GDAL opens the log at its first word, and keeps it.
TAP = {"CPL_DEBUG": "ON", "CPL_LOG_ERRORS": "ON", "CPL_TIMESTAMP": "OFF"}


def shut_in(readable: Iterable[Path], writable: Path, limits: Limits, programs: Iterable[Path] = ()) -> list[str]:
    """Restrict this process for good; returns a sentence per measure, saying also what could not be enforced.

    ``programs`` may be started, and are as shut in as this process; no others can be.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    notes = [_limit(limits), _leave_network(libc)]
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        notes.append("privileges: could not be frozen")
    notes.append(_limit_files(libc, readable, writable, [path for path in programs if path.is_file()]))
    notes.append(_drop_capabilities(libc))
    return notes


def runtime_paths() -> list[Path]:
    """What must stay readable for the interpreter and its libraries to work."""
    package = Path(__file__).resolve().parent
    paths = [Path(entry).resolve() for entry in sys.path if entry]
    # A checkout on the path would open the whole project, data directory and all: only the package is needed.
    if package.parent.name not in ("site-packages", "dist-packages"):
        paths = [path for path in paths if path != package.parent]
    paths += [package, Path(sys.base_prefix, "lib").resolve(), *map(Path, _SYSTEM_PATHS)]
    return [path for path in paths if path.exists()]


def _limit(limits: Limits) -> str:
    for what, most in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_AS, limits.address_bytes),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_NOFILE, 512),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(what, (most, most))
    return f"limits: {limits.memory_bytes // MIB} MB of memory, {limits.cpu_seconds} s of processor time"


def _leave_network(libc: ctypes.CDLL) -> str:
    if libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        return "network: none (own namespace)"
    return "network: NOT taken away by the kernel; a dead proxy stands in"


def _limit_files(libc: ctypes.CDLL, readable: Iterable[Path], writable: Path, programs: list[Path]) -> str:
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return "files: NOT restricted (this kernel has no Landlock)"
    handled = (1 << _FS_RIGHTS_BY_ABI.get(version, 16)) - 1
    ruleset = struct.pack(
        "<QQQ",
        handled,
        _NET_TCP if version >= 4 else 0,
        _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0,
    )
    known = ruleset[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = libc.syscall(_LANDLOCK_CREATE, known, len(known), 0)
    if rules < 0:
        return "files: NOT restricted (Landlock refused)"
    try:
        read = _FS_READ_FILE | _FS_READ_DIR
        write = read | _FS_WRITE_FILE | _FS_REMOVE_FILE | _FS_MAKE_REG | (_FS_TRUNCATE & handled)
        allowed = [(path, read) for path in readable] + [(writable, write), (Path(os.devnull), read | _FS_WRITE_FILE)]
        if programs:  # the system's loader starts them
            loaders = [*Path("/lib64").glob("ld-linux*"), *Path("/lib").glob("ld-linux*")]
            allowed += [(path.resolve(), _FS_READ_FILE | _FS_EXECUTE) for path in [*programs, *loaders]]
        for path, rights in allowed:
            with contextlib.suppress(OSError):  # what cannot be opened need not be allowed
                _allow(libc, rules, path, rights)
        if libc.syscall(_LANDLOCK_RESTRICT, rules, 0) != 0:
            return "files: NOT restricted (Landlock refused)"
    finally:
        os.close(rules)
    connections = ", no TCP connections" if version >= 4 else ""
    started = f", no program but {', '.join(path.name for path in programs)}" if programs else ""
    return f"files: the delivery read-only, one output folder, nothing else{started}{connections} (Landlock {version})"


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not path.is_dir():
            rights &= _FS_READ_FILE | _FS_WRITE_FILE | _FS_EXECUTE
        rule = struct.pack("<Qi", rights, opened)
        if libc.syscall(_LANDLOCK_ADD, rules, 1, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), "landlock_add_rule")
    finally:
        os.close(opened)


def _drop_capabilities(libc: ctypes.CDLL) -> str:
    header = struct.pack("<Ii", 0x20080522, 0)
    dropped = libc.capset(header, bytes(24)) == 0
    if os.geteuid() == 0:
        return f"user: root, {'without its privileges' if dropped else 'WITH its privileges'}"
    return "user: not root"
