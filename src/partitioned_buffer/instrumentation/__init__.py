"""
What carries a buffer's numbers to those who watch: `prometheus`, and `opentelemetry`.

Each is imported by its own name, and imports its library when it is used.
"""
