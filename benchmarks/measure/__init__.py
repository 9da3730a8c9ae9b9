"""What is measured of a method: its trainings, its networks, and what they find."""

from measure.matrix import compare
from measure.members import describe_members
from measure.training_book import TrainingBook

__all__ = ["TrainingBook", "compare", "describe_members"]
