"""Laws of Rollwave, on a real PostgreSQL."""
