"""All SQL: one module a noun, one function a statement. Nothing outside this room knows that the database is asyncpg's."""
