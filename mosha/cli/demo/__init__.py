"""`mosha demo`: its cluster, its steps and its witness."""
