"""The charts of a report, one module a subject."""
