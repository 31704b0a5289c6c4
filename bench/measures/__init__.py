"""What is measured. Each measure yields Samples; none of them judges."""
