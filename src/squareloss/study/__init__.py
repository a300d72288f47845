"""What is asked for: the config, its checks, the runs that follow from it, what they cost."""
