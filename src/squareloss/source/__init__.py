"""What our own source says: digests of the code behind a stage, titles and captions of figures."""
