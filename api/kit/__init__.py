"""What every view of the API stands on."""
