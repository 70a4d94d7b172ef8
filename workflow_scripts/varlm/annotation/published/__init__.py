"""Tables of scores that others have published: read, and joined to alleles by exact allele."""
