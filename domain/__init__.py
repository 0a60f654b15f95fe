"""What is true of images, policies, rollouts, devices and targets, and what follows from it. Nothing here does I/O or reads a clock."""
