"""The checks of `mosha check`, one module per subject."""
