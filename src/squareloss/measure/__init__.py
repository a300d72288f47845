"""What is measured of trained weights, and joined into one table an experiment."""
