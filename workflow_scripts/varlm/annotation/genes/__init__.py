"""Gene annotations of any dialect, and what alleles do to their transcripts."""
