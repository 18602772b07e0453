"""How the command line makes subcommands out of tools, and shows what they do."""
