"""Rollwave beside programs that somebody else wrote: Debian's docker-registry, and skopeo. `make live` runs these tests."""
