"""`turnbuckle connectors new`: a package for a new vendor, with a fake of it and tests that pass.

`templates/` holds its files as people will read them; `filling` fills them in, `package` says which there are.
"""
