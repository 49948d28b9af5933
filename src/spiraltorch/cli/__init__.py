"""The command line, `spiraltorch`: one module a command, defined in `main`."""
