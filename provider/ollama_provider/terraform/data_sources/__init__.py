"""What is only read: a small file each."""
