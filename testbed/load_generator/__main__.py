"""`python -m testbed.load_generator`."""

from testbed.load_generator.command import main

main(prog_name="python -m testbed.load_generator")
