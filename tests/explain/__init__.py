"""What words, numbers and lines mean."""
