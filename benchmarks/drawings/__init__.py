"""Pictures of the study, each with the numbers that it shows; its file has their digest."""
