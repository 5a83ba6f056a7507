"""Compare hosts, VMs and CPUs by the categories of their exits."""
