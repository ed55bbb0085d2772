"""Bitbucket: so far only its webhook scheme."""
