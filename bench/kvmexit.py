"""The BPF program of bcc's kvmexit, as the distribution has it, for comparison.

    python3 kvmexit.py

has it count AMD's exits until it is killed, in a host where kstats is installed. The text is
the tool's own but for what keeps it from counting here: Debian 12's reads the reason where
Linux before 5.16 had it, has 69 places for Intel's reasons (later versions of it, 1028 for
AMD's), and wants kernel headers that it does not need.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

TOOL = Path("/usr/sbin/kvmexit-bpfcc")
PLACES = 1028


def text(function: str, reason: str, tool: Path = TOOL) -> str:
    """The program with ``function`` as its head, reading the reason by the C text ``reason``.

    ``reason`` is the expression, of which the function's argument is ``ctx``.
    """
    whole = tool.read_text(encoding="utf-8")
    found: str = re.findall(r'bpf_text = """(.*?)"""', whole, re.DOTALL)[0]
    for old, new in (
        ("#include <linux/delay.h>", "#include <linux/types.h>"),
        ("#define REASON_NUM 69", f"#define REASON_NUM {PLACES}"),
        ("FUNC_ENTRY", function),
        ("GET_ER", reason),
        ("THREAD_FILTER", "0"),
    ):
        if old not in found:
            raise SystemExit(f"{tool} has no {old}: it is of another version than expected")
        found = found.replace(old, new)
    return found


def svm(vmcb: int, exit_code: int) -> str:
    """C that reads the reason from the vCPU, at these offsets, as later versions do."""
    return (
        "({ u32 r = 0; void *p = NULL;"
        f" bpf_probe_read_kernel(&p, sizeof(p), (void *)(ctx->args[0] + {vmcb}));"
        f" bpf_probe_read_kernel(&r, sizeof(r), p + {exit_code}); r; }})"
    )


def main() -> None:
    """Attaches it to kvm_exit and waits to be killed."""
    import bcc  # noqa: PLC0415 - only where this is a program

    from kstats.loader import c_text as ours  # noqa: PLC0415
    from kstats.loader.btf import Btf  # noqa: PLC0415

    os.environ["BCC_KERNEL_SOURCE"] = str(ours.headers())
    btf = Btf(bcc.lib, ["kvm_amd"])
    reason = svm(btf.offset("vcpu_svm.vmcb"), btf.offset("vmcb.control.exit_code"))
    program = bcc.BPF(text=text("RAW_TRACEPOINT_PROBE(kvm_exit)", reason))
    print("counting", flush=True)
    signal.pause()
    program.cleanup()


if __name__ == "__main__":
    main()
