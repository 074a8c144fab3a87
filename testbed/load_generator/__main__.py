"""`python -m testbed.load_generator`."""

from testbed.load_generator.command import simulate

simulate(prog_name="python -m testbed.load_generator")
