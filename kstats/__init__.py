"""kstats: which KVM VM exits happen, where, and at what price."""

__version__ = "0.1.0"
