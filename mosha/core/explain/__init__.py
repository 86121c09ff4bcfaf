"""What people are told: verdicts, reasons, and what has changed."""
