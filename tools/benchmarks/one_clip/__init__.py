"""What one clip more costs."""
