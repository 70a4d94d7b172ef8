"""The reference: its sequence, contig names, windows, regions and sites."""
