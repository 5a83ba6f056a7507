"""Facts about the host and its VMs that explain exits: settings, memory, scheduling, load."""
