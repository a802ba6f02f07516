"""What an audit says in plain words."""
