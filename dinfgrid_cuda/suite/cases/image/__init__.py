"""Images rebuilt from their derivatives."""
