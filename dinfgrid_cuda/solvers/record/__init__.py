"""What a solve leaves behind: history, checkpoints, progress, and the rules that end it."""
