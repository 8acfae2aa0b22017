"""Upstream: the only folder that knows GraphQL. No gql type, and no text of Railway's errors, leaves it."""
