"""Benchmarks: ratios and figures that anyone can measure again."""
