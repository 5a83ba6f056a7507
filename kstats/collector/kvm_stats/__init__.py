"""KVM's own counters of each vCPU, read through the VMM's statistics descriptors."""
