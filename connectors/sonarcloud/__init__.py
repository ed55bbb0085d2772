"""SonarCloud: so far only its webhook scheme."""
