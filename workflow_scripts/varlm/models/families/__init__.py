"""What identifies a checkpoint of a family: its tokeniser and longest window. No torch here."""
