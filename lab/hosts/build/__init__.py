"""Making disk images and kernels out of distribution packages.

No root and no foreign binary is needed: packages are fetched by an apt that has its own
directories and its own idea of the architecture, and are only ever unpacked.
"""
