"""The front door: what vendors send is stored before it is acknowledged, and nothing else happens before the answer.

    request ─▶ app ─▶ receive (route · cap · verify) ─▶ inbox (group commit) ─▶ 202
                          │                                │
                          └─ hooks (who is it, its secrets) └─ doorbell (there is work for INT-…)

The whole path is plain ASGI: a web framework would cost more than all of this together. What a delivery means is not
asked here; the engine reads the inbox later. Never is there a 2xx without a committed row.
"""
