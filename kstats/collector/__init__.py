"""Measures on the running host: features read the kernel's maps and fill samples."""
