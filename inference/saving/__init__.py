"""Files that are whole or not there, and states that are read back."""
