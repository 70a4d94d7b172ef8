"""Language models: what one is, checkpoints, download, weights, tokenisers; one file a family.

The steps before scoring import `checkpoint`, `download` and `prepared` and with them no torch.
"""
