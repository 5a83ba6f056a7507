"""Tests of VMs and vCPUs with recorded and hostile trees of /proc and /sys."""
