"""Reads KVM's own counters of each vCPU through the VMM's statistics descriptors."""
