"""The load engine: a schedule computed before the first send, a pacer that sends it, a record a request, and their figures."""
