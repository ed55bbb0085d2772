"""Azure DevOps: so far only its webhook scheme."""
