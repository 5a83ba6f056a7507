"""Loads BPF programs: assembles the C, compiles and attaches it, and reads the maps.

bcc is imported in a worker process only (:mod:`kstats.loader.worker`).
"""
