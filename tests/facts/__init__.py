"""Facts about hosts and VMs, read from recorded and hostile trees of /proc and /sys."""
