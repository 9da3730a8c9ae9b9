"""A Hub on loopback, and a network to send there."""

from hub_fixtures import hub, network, saved

__all__ = ["hub", "network", "saved"]
