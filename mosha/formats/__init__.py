"""Text to data and back: cltab, hactl, clstat, hastat, mosha.toml. No input or output here."""
