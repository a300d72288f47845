"""The machine at hand: a benchmark, and a doctor."""
