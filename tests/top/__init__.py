"""Tests of kstats top."""
