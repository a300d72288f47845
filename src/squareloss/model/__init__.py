"""What a network is: its layers, weights and outputs."""
