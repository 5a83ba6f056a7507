"""VMs and vCPUs by recorded trees of /proc and /sys, and by hostile ones."""
