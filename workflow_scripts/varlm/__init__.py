"""varlm: genome-wide variant effect prediction with DNA language models."""

__version__ = "0.1.0"
