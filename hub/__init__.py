"""The room for how prunable weights travel: their format on disk, saving, loading, the Hub.

It is empty so far: until then, ``state_dict`` and ``load_state_dict`` are the way.
"""
