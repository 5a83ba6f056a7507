"""A page with pictures of recordings: one HTML file that needs nothing else.

What must be installed for it comes with ``kvm-kstats[report]``.
"""
