"""Tests of kstats in emulated KVM hosts."""
