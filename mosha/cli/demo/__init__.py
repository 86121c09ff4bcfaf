"""The cluster of `mosha demo`, its story and its witness."""
