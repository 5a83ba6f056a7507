"""Loads BPF programs: assembles the C, compiles and attaches it, and gives access to the maps."""
