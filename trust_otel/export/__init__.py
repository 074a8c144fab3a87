"""Parts of the SDK: readers, and what of it is private upstream."""
