"""What runs inside a host: the first script and the agent. Neither may import from out here."""
