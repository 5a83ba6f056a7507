"""Build disk images and kernels from distribution packages.

This needs neither root nor foreign binaries: an apt with its own directories and architecture
fetches the packages, and they are only unpacked.
"""
