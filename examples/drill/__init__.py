"""The fire drill: every alert is made to fire by its fault, and is followed to who is told."""
