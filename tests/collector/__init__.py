"""Tests of the collector: without privileges up to the kernel, as root into it."""
