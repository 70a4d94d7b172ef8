"""VCF and BCF: lines, header, columns."""
