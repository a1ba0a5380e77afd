"""Where what was accepted waits, when it is to outlive the process."""
