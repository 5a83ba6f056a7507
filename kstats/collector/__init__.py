"""From the kernel to samples: the only part of kstats that needs Linux, BPF and privileges.

``bcc`` is imported in a short-lived child process alone (:mod:`kstats.loader.worker`).
"""
