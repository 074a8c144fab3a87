"""The fire drill: injects the fault of every alert into the running stack, and checks who is notified."""
