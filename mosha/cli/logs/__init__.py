"""Where `mosha logs` finds lines, and how it merges them."""
