"""kstats as its users run it, in emulated KVM hosts."""
