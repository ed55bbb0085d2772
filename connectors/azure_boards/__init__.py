"""Azure Boards: so far only its webhook scheme."""
