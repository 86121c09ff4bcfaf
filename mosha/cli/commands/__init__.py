"""The subcommands of `mosha`: one module each."""
