"""What a page says where there is no result."""

NOT_YET = "Not measured yet.\n"
