"""The one vocabulary: every metric and attribute, generated from `registry/*.yaml`."""
