"""The commands of `elbowroom`, one a file."""
