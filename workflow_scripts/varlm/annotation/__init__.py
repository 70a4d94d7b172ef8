"""What genes, intervals, bigWigs and INFO fields say of an allele, beside its scores."""
