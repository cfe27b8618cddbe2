"""What tests of the emulator share: a customer of it, and what it looks at."""
