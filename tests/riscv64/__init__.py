"""The example of a backend, in an emulated RISC-V host around a guest whose exits are known."""
