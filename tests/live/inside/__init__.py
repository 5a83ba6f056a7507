"""What runs in a host on behalf of the tests there: standard library only."""
