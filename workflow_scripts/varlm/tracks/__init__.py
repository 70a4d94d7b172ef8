"""Scores along the genome: bigWig files, and what UCSC, IGV and JBrowse open."""
