"""GPN: its options, its modules without gpn and transformers, and the fast engine."""
