#!/usr/bin/env python3
"""Run KVM guests whose VM exits are known: ``python3 vmm.py --help``."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[0] = str(here.parent)
    runpy.run_module(f"{here.name}.cli", run_name="__main__")
