"""The pages of `mosha status`, `why` and `views`, printed once or on a live screen."""
