"""Architectures: names, columns, the registry and the contract."""
