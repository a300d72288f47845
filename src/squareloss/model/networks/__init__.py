"""Architectures, one module each; `recipes.<name>.network` in the config is a module's name."""
