"""The guest of the RISC-V host, in which the backend of examples/ is tested."""
