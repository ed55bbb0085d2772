"""Linear: so far only its webhook scheme."""
