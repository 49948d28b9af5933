"""The command line, `spiraltorch`: one module for each command, defined in `main`."""
