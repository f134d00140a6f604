"""Compiles every kernel for every architecture and records what it takes: registers, stack, spills, shared memory.

``python -m perf.kernel_registers`` renews ``perf/kernel_registers.json``; no GPU is needed, only CuPy with NVRTC (the
extra ``nvrtc`` or ``cuda13``).  A test compares fresh figures with the file and fails where a kernel spills anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from gpurefine.backend.cuda import sources

TABLE = Path(__file__).with_name("kernel_registers.json")

_ENTRY = re.compile(
    r"Compiling entry function '(?P<name>\w+)' for 'sm_\d+'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


def measure(file: str, architecture: int) -> dict[str, dict[str, int]]:
    """Registers, stack, spill and shared bytes of every kernel of ``file``."""
    _, log = sources.compile_cubin(file, architecture, ("--ptxas-options=-v",))
    found = {}
    for entry in _ENTRY.finditer(log):
        shared = re.search(r"(\d+) bytes smem", entry["rest"])
        found[entry["name"]] = {
            "registers": int(entry["registers"]),
            "stack": int(entry["stack"]),
            "spill": int(entry["stores"]) + int(entry["loads"]),
            "shared": int(shared.group(1)) if shared else 0,
        }
    return found


def recorded() -> dict[str, Any]:
    """The committed table: "compiler"; "sources": file → digest; "kernels": kernel → architecture → figures."""
    return dict(json.loads(TABLE.read_text(encoding="utf-8")))


def digest(file: str) -> str:
    """Of everything that the compiler sees of ``file``."""
    return hashlib.sha256("\0".join([sources.source(file), *sources.OPTIONS]).encode()).hexdigest()[:16]


def compiler() -> str:
    """Name and version of the compiler in use."""
    from cupy.cuda import nvrtc

    return "NVRTC " + ".".join(map(str, nvrtc.getVersion()))


def main() -> None:
    """Measure everything and write the table."""
    table: dict[str, dict[str, dict[str, int]]] = {}
    for file in sources.files():
        for architecture in sources.ARCHITECTURES:
            for name, figures in measure(file, architecture).items():
                table.setdefault(name, {})[str(architecture)] = figures
    lines = [f'  "{name}": {json.dumps(table[name])}' for name in sorted(table)]
    made_from = ",\n".join(f'  "{file}": "{digest(file)}"' for file in sources.files())
    text = f'{{"compiler": "{compiler()}",\n "sources": {{\n{made_from}}},\n "kernels": {{\n' + ",\n".join(lines)
    text += "\n}}\n"
    TABLE.write_text(text, encoding="utf-8")
    spilling = sorted({n for n, by in table.items() for f in by.values() if f["spill"]})
    print(f"{len(table)} kernels; spilling: {', '.join(spilling) or 'none'}")


if __name__ == "__main__":
    main()
