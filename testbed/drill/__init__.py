"""The fire drill: everything goes wrong that an alert is about, in the running stack, and the right people are told."""
