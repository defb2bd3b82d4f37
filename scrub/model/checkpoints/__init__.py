"""Checkpoints of one's own, one file a layout: HookedTransformer's, nanoGPT's, and TransformerLens' native one."""
