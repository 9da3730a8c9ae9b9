"""Configs for mmengine's Runner: data only."""
