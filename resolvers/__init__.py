"""The use cases: who asks, permission, transaction, rule, write. GraphQL and REST both call these, and these know neither."""
