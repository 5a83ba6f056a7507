"""The lab: emulated KVM hosts, and a small VMM whose guests make a known number of exits."""
