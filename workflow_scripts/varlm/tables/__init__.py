"""The contract of all tables, and how they are read and written."""
