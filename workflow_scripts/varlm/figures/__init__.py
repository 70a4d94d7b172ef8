"""What report, evaluation and training draw with."""
