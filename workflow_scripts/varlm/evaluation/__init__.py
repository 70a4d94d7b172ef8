"""How well scores tell classes of alleles apart: tasks, labels, metrics with intervals."""
