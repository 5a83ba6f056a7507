"""Tests of the page with pictures."""
