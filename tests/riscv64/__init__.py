"""Tests of the example backend, also in an emulated RISC-V host."""
