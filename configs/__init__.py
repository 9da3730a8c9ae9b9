"""The room for mmengine configs: data only. It is empty so far."""
