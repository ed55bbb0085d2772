"""Microsoft Teams: so far only its webhook scheme."""
