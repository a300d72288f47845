"""Image sources, one module each; `datasets.<name>.source` in the config is a module's name."""
