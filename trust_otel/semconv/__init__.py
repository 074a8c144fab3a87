"""The semantic conventions: every metric and attribute, generated from `registry/*.yaml`."""
