"""What goes between clones: merging, archives, Snakemake's records."""
