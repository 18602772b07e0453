"""What the hostile programs share. They run inside the sandbox: standard library only, and nothing here judges."""

import base64
import ctypes
import json
import platform
import sys

_libc = ctypes.CDLL(None, use_errno=True)
_NUMBERS = {
    "x86_64": {
        "clone": 56, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "request_key": 249, "keyctl": 250,
        "add_key": 248, "finit_module": 313, "kexec_load": 246, "swapon": 167, "acct": 163, "memfd_create": 319,
    },
    "aarch64": {
        "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "request_key": 218, "keyctl": 219, "add_key": 217,
        "finit_module": 273, "kexec_load": 104, "swapon": 224, "acct": 89, "memfd_create": 279,
    },
}  # fmt: skip


def number(name):
    """The number of a system call here, 0 if it has none."""
    return _NUMBERS.get(platform.machine(), {}).get(name, 0)


def call(name, *arguments):
    """Call a function of the C library; -1 if it failed or does not exist."""
    try:
        function = getattr(_libc, name)
    except AttributeError:
        return -1
    function.restype = ctypes.c_long
    return function(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))


def pwned(what):
    """Say that something worked that must not."""
    print("PWNED:", what, flush=True)


def exfiltrate(data):
    """Try every way to carry data out that a judge may overlook."""
    if isinstance(data, str):
        data = data.encode()
    print(data[:400])
    print(base64.b64encode(data[:400]).decode())
    print(data[:400].hex(), flush=True)
    with open("stolen.bin", "ab") as file:
        file.write(data[:100_000])


def arena():
    """What the judge has set up outside, as JSON in the last argument."""
    return json.loads(sys.argv[2])


def run_named(functions):
    """Run the program that the first argument names."""
    functions[sys.argv[1]](arena())
