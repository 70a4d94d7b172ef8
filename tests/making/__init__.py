"""What tests make for themselves: inputs, checkpoints, runs, servers."""
