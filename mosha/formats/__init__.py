"""Parsers and writers: cltab, hactl, clstat, hastat, mosha.toml. No input or output here."""
