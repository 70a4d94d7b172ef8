"""Embeddings of sequences, intervals and variants, and what can be read out of them."""
