"""What the processor is called, and what it has for products of matrices."""

import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "bfloat16 (AVX-512)",
    "amx_bf16": "bfloat16 (AMX)",
}


def described() -> str:
    """The processor's name and features, as far as Linux tells them."""
    name = _line("model name") or platform.processor() or platform.machine()
    has = [words for flag, words in FEATURES.items() if flag in _line("flags").split()]
    return f"{name}: {', '.join(has) or 'no AVX2'}"


def emulates_bfloat16() -> bool:
    """Whether products in bfloat16 are emulated, which is slower than float32.

    Only x86 processors under Linux say so; elsewhere nothing is known and this is False.
    """
    flags = _line("flags").split()
    return bool(flags) and not {"avx512_bf16", "amx_bf16"} & {*flags}


def _line(name: str) -> str:
    """The value of a line of /proc/cpuinfo, that of the first core; empty if there is none."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(rf"^{name}\s*: (.*)$", text, re.M)
    return found[1].strip() if found else ""
