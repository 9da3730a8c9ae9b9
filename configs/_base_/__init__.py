"""What configs start from, by ``_base_``."""
