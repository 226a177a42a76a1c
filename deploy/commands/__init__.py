"""The subcommands of ``riverwatch``, one a file."""
