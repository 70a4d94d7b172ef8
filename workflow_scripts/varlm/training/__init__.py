"""Training of masked and causal language models of nucleotides, on any genomes."""
