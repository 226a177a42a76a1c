"""What the subcommands share: flags and settings, tables, times as people write them."""
