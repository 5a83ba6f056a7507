"""Other tools' data, read by kstats."""
