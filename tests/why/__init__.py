"""Tests of kstats.why."""
