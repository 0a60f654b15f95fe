"""What registries say: a parser for each sender, and the proof that it was the sender."""
