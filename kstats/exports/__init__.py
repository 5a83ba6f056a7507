"""Recordings in the formats of other programs, for ``kstats export``."""
