"""The way to servers: connections, which of them has what, and what errors mean."""
