"""/graphql over HTTP, server-sent events and WebSocket, as their specifications want it; Strawberry executes.

Own code instead of Strawberry's `asgi.GraphQL`: that answers some requests in plain text or with a 500, closes sockets without a code on
messages of the wrong shape, knows no persisted documents over WebSocket, and makes one context for all that happens on a connection.
"""
