"""Draw recordings as a self-contained HTML page.

Its dependencies are installed with ``kvm-kstats[report]``.
"""
