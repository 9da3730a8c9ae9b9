"""The one exception that everything wrong with a checkpoint on disk ends as."""


class CheckpointError(ValueError):
    """A checkpoint can't be read: the message names the file, what is wrong and what to do."""


AGAIN = "Download it again, or save the network again."
"""What to do about a file that is damaged."""
