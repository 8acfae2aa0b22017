"""Downstream: the only folder that serves HTTP. Knows nothing of Railway."""
