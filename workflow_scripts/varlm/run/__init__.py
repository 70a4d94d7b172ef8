"""How a run is configured, watched and stopped.

Free of numpy and polars: the Snakefile imports it.
"""
