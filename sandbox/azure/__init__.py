"""What the fake parts of Azure DevOps share: its errors, its service hooks, and Microsoft Entra."""
