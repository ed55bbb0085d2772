"""GitLab: so far only its webhook scheme."""
