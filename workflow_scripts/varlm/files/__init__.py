"""Bytes in and out: compression, whole files and their digests, text."""
