"""The packages, installed."""
