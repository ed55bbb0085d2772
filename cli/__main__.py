"""`python -m cli` is `turnbuckle`."""

from cli.main import app

app()
