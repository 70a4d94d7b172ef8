"""Language models: what one is, checkpoints, download, weights, tokenisers; one file a family.

Nothing but `loading` and the families imports torch.
"""
