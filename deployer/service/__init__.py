"""The service's resources, and what each verb consists of, without a terminal."""
