"""What `mosha check` looks at, one module a subject."""
