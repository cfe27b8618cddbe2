"""What is asked of every deployment: conformance and benchmark suites."""
