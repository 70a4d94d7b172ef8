"""The networks of model families, one module each: loading them, and their forward passes."""
