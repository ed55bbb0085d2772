"""ClickUp: so far only its webhook scheme."""
