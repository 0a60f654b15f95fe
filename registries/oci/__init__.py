"""What registries answer when they are asked: the client's half of the OCI distribution specification."""
