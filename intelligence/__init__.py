"""Engineering intelligence: facts made of the stream of events, which metrics are computed from.

Everything here is a projection: it can be thrown away and made anew.
"""
