"""The charts of the reports, one module a subject."""
