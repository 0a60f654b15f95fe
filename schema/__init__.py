"""Everything a GraphQL client can see. Types translate domain objects, fields call use cases, and nothing else happens here."""
