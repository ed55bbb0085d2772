"""Tests of the connectors' shared layer and of each connector."""
