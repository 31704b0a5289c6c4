"""What happened lately, in numbers and texts; read by the admin address."""
