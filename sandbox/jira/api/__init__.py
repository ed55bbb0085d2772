"""The REST endpoints of Jira Cloud, as tables of plain handlers."""
