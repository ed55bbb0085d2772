"""Rich text of vendors <-> markdown, which is what texts are here. Pure, and no vendor's own.

document  the blocks and spans both formats below are read into
adf       markdown -> Atlassian Document Format
html      HTML <-> markdown
markdown  a document -> markdown; `inline` does the lines of it
stored    markdown a vendor has kept in its own way
"""
