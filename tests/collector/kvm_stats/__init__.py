"""Tests of the reader of KVM's own counters."""
