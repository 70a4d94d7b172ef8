"""From alleles and a model to scores: planning, shards, inference, formulas, the background."""
