"""The pages of docs/ whose numbers come from JSON, one module each."""
