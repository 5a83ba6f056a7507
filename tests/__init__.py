"""Tests of kstats."""
