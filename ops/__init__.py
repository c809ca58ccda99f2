"""What brings the project up on one machine."""
