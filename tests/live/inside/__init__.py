"""Programs that the tests run in a host; they use only the standard library."""
